"""How the judge of shares errs, beside what people use today: `python -m benchmarks.verdicts [--runs N] [--full] [--docs]`.

Five experiments, each a module, on the same counts for every judge:

* `hour`: an hour at one weight, over request rates, weights, shares of errors and clumps, one check and twelve;
* `trials`: whole trials with the default steps, of a candidate as good as stable and of one twice the margin worse;
* `late`: faults that begin after 0, 30 and 120 healthy minutes;
* `scores`: what PSI and the check on drift say of histograms of scores;
* `replays`: raw counters of pods, scraped as Prometheus scrapes, through the product's own `ask`, `fold` and `judge`.

`targets` says what is demanded, `page` writes docs/verdicts.md.
"""
