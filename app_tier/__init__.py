"""The worker: receive, process, store, reply, ack."""
