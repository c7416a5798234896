/* Private to src/: a descent by an update rule as a machine that asks for evaluations, so that one may run alone or many side by side, from
 * shared reads of X:
 *
 *     begin; as long as march->at: evaluate there what it wants and does not know, then go on
 */
#ifndef GDFAST_MARCH_H
#define GDFAST_MARCH_H

#include "rules.h"

enum { GD_WANTS_ERROR = 1, GD_WANTS_SLOPE = 2 /* and the error */, GD_WANTS_VALIDATION = 4 };

typedef struct gd_march {
    gd_run *run;
    const double *at;    /* (size) the weights to look at next; NULL: the descent has ended */
    int wants, knows;    /* of E there */
    double error;        /* the smooth part; its gradient is run->gradient */
    double validation;   /* the same of the rows that validate */
    gd_status (*next)(struct gd_march *march); /* what follows */
    /* An epoch of mini-batches. NULL: a step on all rows. */
    gd_status (*epoch)(void *context, gd_epoch_sums *sums);
    void *context;
    gd_rates rates;
    gd_trial good, older; /* to go back to; older: of epochs, the one before */
    double *room;         /* (size) */
    double before;        /* by E: what the last step gained; of epochs: the error of the last one */
    double scale;         /* |E| at the start, and once it was in question at w = 0 */
    double eta;           /* of the last step */
    int64_t refused;      /* steps or epochs in a row */
    /* steps judged by E */
    double least;         /* estimate of E - E* */
    int fresh;            /* the last step had no momentum */
    int64_t slow, patience;
    /* epochs */
    gd_epoch_sums sums;
    double loss, norm;    /* of the epoch: mean error, and length of its mean step over its mean rate */
    int bad;              /* it has left the finite range */
} gd_march;

/* Does each update take all n rows? And is it judged by what it has made of E, or as an epoch? */
int gd_takes_all_rows(const gd_settings *settings, int64_t n);
int gd_is_judged_by_error(const gd_settings *settings);

/* How much room a march needs, in vectors of state->size. */
int64_t gd_march_vectors(const gd_state *state);

/* Set out from the weights of the state. march->run is set, and march->epoch where updates are by some rows each. */
gd_status gd_march_begin(gd_march *march, double *room);

/* Go on, with what has been found at march->at. Any status but GD_OK is the end. */
gd_status gd_march_on(gd_march *march);

/* The last that every descent does, whichever solver took it where it is: the answer, and the exact error there. */
gd_status gd_march_end(gd_march *march);

/* All the way, by the engines of the run. */
gd_status gd_march_alone(gd_march *march);

#endif
