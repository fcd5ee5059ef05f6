"""The kinds of entries in the event log, as they stand in it. All times are seconds.

==============  =======================================================================================================
event           meaning and fields
==============  =======================================================================================================
``epoch``       A tuner took the experiment: ``epoch`` (from 1), ``nonce``, ``owner`` (host, pid, user; in S3 also
                job), ``unix`` (time of day), ``format`` (of the log), ``version`` (of cloudtune); in S3 ``damage``:
                what of the log was lost before, if anything was. Written by the store itself.
``experiment``  Once, first after epoch 1: ``name``, ``experiment_id``, ``scheduler`` (what must not change: class,
                config space, metric names and modes, seed), ``metadata`` (as in metadata.json), ``unix``; perhaps
                ``backend_settings`` (what must not change of the backend, as simulators have it).
``place``       Where trials are from now on, as their backend tells it: ``trials_at`` (with SageMaker ``place`` and
                ``region``). Durable before the first trial is started.
``suggest``     The scheduler wants a trial run: ``number`` (of the suggestion, from 0), ``trial``, ``attempt`` (0: new
                trial; more: resume), ``config``, ``checkpoint_from`` (a trial id or null), ``computed_at`` (number of
                log entries the scheduler had seen), ``time``. Durable before the trial is started.
``retry``       An interrupted trial continues: ``trial``, ``attempt``, ``time``. No suggestion.
``report``      ``trial``, ``attempt``, ``run``, ``number``, ``time``, ``decision``, ``status``, ``metrics``; and
                ``replay``: true if the trial repeats what the scheduler has seen, ``late``: true if it came after a
                decision to pause: neither counts for scheduler or results. ``extra``: true if it counts for the
                results only (it came after a decision to stop, or lacks a metric).
``counted``     A late report that will not come again, because the trial has gone on from beyond it, counts from now
                on: the fields of that report, but for ``time``, ``decision`` and ``status``; perhaps ``extra``.
``end``         ``trial``, ``attempt``, ``outcome``, ``reason``, ``exit_code``, ``time``, ``status`` (of the trial from
                now on); ``bill_follows``: true if what the attempt has cost is still to be told; ``decision``: PAUSE
                if the scheduler has made a pause of the end of a script that ended by itself.
``bill``        What an attempt has cost: ``trial``, ``attempt``, ``dollars`` (or null), ``seconds`` (billable),
                ``retained`` (seconds of a warm pool), ``instance_type``, ``final``, ``time``. A later one replaces it.
``clock``       ``time``: nothing else happened for a while; keeps the active time known.
``finish``      The tuner ended in order: ``why``, ``time``, ``state`` (finished; interrupted: by a signal, or for want
                of its study's money; failed: too many trials did). A later epoch may continue.
==============  =======================================================================================================

``time`` is active tuning time: it does not run while no tuner drives the experiment.
"""

from __future__ import annotations

#: Version of the log's format. A reader refuses a higher one.
LOG_FORMAT = 1

EPOCH = "epoch"
EXPERIMENT = "experiment"
PLACE = "place"
SUGGEST = "suggest"
RETRY = "retry"
REPORT = "report"
COUNTED = "counted"
END = "end"
BILL = "bill"
CLOCK = "clock"
FINISH = "finish"

#: In the entry of the experiment.
BACKEND_SETTINGS = "backend_settings"

# How an experiment ended.
FINISHED = "finished"
INTERRUPTED = "interrupted"
FAILED = "failed"
