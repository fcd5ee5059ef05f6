"""Names that a report, a results table or a command line may carry: all of cloudtune's own begin with ``st_``.

Standard library only and Python 3.8 syntax: training scripts in old images import this.
"""

RESERVED_PREFIX = "st_"

# Added to every report by the Reporter.
ST_WORKER_TIMESTAMP = "st_worker_timestamp"
ST_WORKER_TIME = "st_worker_time"
ST_WORKER_ITER = "st_worker_iter"
ST_WORKER_COST = "st_worker_cost"

# Added by the tuner, columns of the results table.
ST_TUNER_TIME = "st_tuner_time"
ST_DECISION = "st_decision"
ST_STATUS = "st_status"
TRIAL_ID = "trial_id"
CONFIG_PREFIX = "config_"

# Command-line arguments of a trial that are not hyperparameters.
ST_CHECKPOINT_DIR = "st_checkpoint_dir"
ST_CONFIG_JSON_FILENAME = "st_config_json_filename"

# Entries of a configuration that choose the trial's machine, where a backend can, and are no hyperparameters.
ST_INSTANCE_TYPE = "st_instance_type"
ST_INSTANCE_COUNT = "st_instance_count"

# Keys of metadata.json.
ST_TUNER_CREATION_TIMESTAMP = "st_tuner_creation_timestamp"
ST_TUNER_START_TIMESTAMP = "st_tuner_start_timestamp"
ST_LIMITS = "st_limits"  # what a progress display shows of the stopping criterion: its name -> the limit
ST_BACKEND_SETTINGS = "st_backend_settings"  # what must not change of the backend: those of a simulation

# What a line on stdout that carries a report begins with (also matched by SageMaker metric definitions).
TUNE_METRIC_TAG = "[tune-metric]: "

# A report may not be longer than this many bytes, JSON-encoded.
MAX_REPORT_BYTES = 50_000
# Nor may lists and dictionaries lie deeper in one another in a value: all that read and write JSON have a limit.
MAX_REPORT_DEPTH = 50

# Environment of a trial's processes.
ENV_EXPERIMENT = "CLOUDTUNE_EXPERIMENT"  # <experiment name>-<id>: finds every process of an experiment
ENV_TRIAL = "CLOUDTUNE_TRIAL"
ENV_ATTEMPT = "CLOUDTUNE_ATTEMPT"
ENV_REPORT_FILE = "CLOUDTUNE_REPORT_FILE"  # where the Reporter appends
ENV_WAKE_FIFO = "CLOUDTUNE_WAKE_FIFO"  # a named pipe: "<trial id>\n" written here wakes the tuner
ENV_PRICE_PER_SECOND = "CLOUDTUNE_PRICE_PER_SECOND"  # US dollars, where an instance price is known
ENV_FOLDER = "CLOUDTUNE_FOLDER"  # where experiments live, instead of ~/cloudtune
ENV_S3_PATH = "CLOUDTUNE_S3_PATH"  # s3://bucket[/prefix] where experiments lie, instead of the account's bucket
