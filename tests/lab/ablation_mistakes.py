"""Typical mistakes in the exercises of notebook 04, and a word of the hint that each must get."""

import statistics


def decay_from_the_start(elapsed, budget, peak):
    share = elapsed / budget
    return peak * share / 0.1 if share < 0.1 else peak * max(0.0, 1 - share)


def below_zero(elapsed, budget, peak):
    share = elapsed / budget
    return peak * share / 0.1 if share < 0.1 else peak * (1 - share) / 0.9


def no_warm_up(elapsed, budget, peak):
    return peak * max(0.0, 1 - elapsed / budget)


def never_the_other_way(first, epoch):
    return first


def all_at_once(first, epoch):
    return first & (epoch % 2 == 0)


def off_by_one(first, epoch):
    return first ^ (epoch % 2 == 0)


def population(a, b):
    gap = statistics.fmean(a) - statistics.fmean(b)
    return gap / (statistics.pvariance(a) / len(a) + statistics.pvariance(b) / len(b)) ** 0.5


def of_single_runs(a, b):
    return (statistics.fmean(a) - statistics.fmean(b)) / (statistics.variance(a) + statistics.variance(b)) ** 0.5


def errors_added(a, b):
    errors = [statistics.stdev(x) / len(x) ** 0.5 for x in (a, b)]
    return (statistics.fmean(a) - statistics.fmean(b)) / sum(errors)


def turned_round(a, b):
    gap = statistics.fmean(b) - statistics.fmean(a)
    return gap / (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5


MISTAKES = {
    "04.1": [(decay_from_the_start, "at its peak"), (below_zero, "stays 0"), (no_warm_up, "half way up")],
    "04.2": [(never_the_other_way, "the other way"), (all_at_once, "have their turn"), (off_by_one, "In epoch 0")],
    "04.3": [
        (population, "n - 1"),
        (of_single_runs, "single run"),
        (errors_added, "added squared"),
        (turned_round, "sign"),
    ],
}
