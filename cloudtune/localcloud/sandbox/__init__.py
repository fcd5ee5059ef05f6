"""Where the containers of training jobs run: processes that see an ``/opt/ml`` of their own."""
