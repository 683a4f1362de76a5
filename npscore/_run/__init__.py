"""What no mathematics depends on: checked arguments, files, executors, BLAS threads, progress."""
