/* Private to src/: the curvature of softmax over all classes together. That of class c alone is p_c (1 - p_c); with it alone a step in all
 * classes at once does not see how they make up for each other, and takes E for more bent, hence itself for nearer, than it is. */
#ifndef GDFAST_JOINT_H
#define GDFAST_JOINT_H

#include "metric.h"

/* Is a matrix of all rows worth what it costs: from the start, which is for L1, where no memory of steps makes up for what one by class
 * leaves out; or, at_length, where the descent takes long? */
int gd_joint_pays(const gd_problem *problem, int at_length);

/* model (order, pad), upper triangle: sum s (diag(p) - p p') x u u' at the weights that the engine has, from the curvatures
 * metric->h (k, n) of the classes there. */
gd_status gd_joint_sum(gd_metric *metric);

#endif
