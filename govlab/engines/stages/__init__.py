"""A pipeline in stages that pass messages, for engines that spread it over machines. Nothing here knows such an engine."""
