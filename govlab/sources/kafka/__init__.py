"""Kafka: readers of topics, live and a range of them, and the sink."""
