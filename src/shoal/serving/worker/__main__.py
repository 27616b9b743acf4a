"""``python -m shoal.serving.worker``: see `main`."""

from shoal.serving.worker.main import main

if __name__ == "__main__":
    main()
