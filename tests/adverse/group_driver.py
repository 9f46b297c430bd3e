"""A member of a group that makes an alert of each event and stores it, until it is killed. python group_driver.py OPTIONS"""

import json
import sys

from queues import SCHEMA

import govlab as gl


def main(options):
    each = gl.Sharded([gl.alerts.Threshold(-1.0, score="value", entity="event_id")], by="partition", shards=4)
    source = gl.from_kafka(
        options["topic"], options["address"], SCHEMA, group=options["group"], client=options["client"], max_rows=20
    )
    source.through(each)
    gl.run(source, store=options["store"], progress=False, save_every_s=0.05)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
