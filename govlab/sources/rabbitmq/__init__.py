"""RabbitMQ: readers of queues and streams, and the sink."""
