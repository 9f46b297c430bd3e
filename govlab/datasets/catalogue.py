"""What is known of each data set: where its files are, its licence, whom to cite, what its columns mean."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """One data set. ``files`` are paths in the folder of originals; ``columns`` says what the loaded columns mean."""

    files: tuple[str, ...]
    licence: str
    citation: str
    origin: str
    columns: dict[str, str] = field(default_factory=dict)


_MADE_UP_CLOCK = "made up (the set has an order but no times): one row a second from 2000-01-01"
_NO_FORMAL_LICENCE = "no licence stated: use it to measure, do not pass it on"
NAB_COMMIT = "ea702d75cc2258d9d7dd35ca8e5e2539d71f3140"
NAB_URL = f"https://raw.githubusercontent.com/numenta/NAB/{NAB_COMMIT}/"

SOURCES = {
    "bitcoin_otc": Source(
        ("bitcoin_otc/edges.csv.gz",),
        f"ratings: SNAP, cite; anomaly labels: {_NO_FORMAL_LICENCE}",
        "Kumar, Spezzano, Subrahmanian, Faloutsos: Edge Weight Prediction in Weighted Signed Networks, ICDM 2016; "
        "labels: Lee, Kim, Shin: SLADE, KDD 2024, arXiv 2402.11933",
        "https://github.com/jhsk777/SLADE data/ml_bitcoinotc.csv, its columns u, i, ts, label",
        {
            "time": "when the rating was given, UTC, cut to the second",
            "rater": "who rated (column i of the file)",
            "rated": "who was rated (column u of the file)",
            "labels.abnormal": "1: the RATED user is in an abnormal state at that moment; one label a row. Every such "
            "rating is negative, so the rating itself, which is not in the set, must not become a feature",
        },
    ),
    "card_sim": Source(
        ("card_sim/tx.npz",),
        f"simulated; {_NO_FORMAL_LICENCE} (the handbook's text is CC BY-SA 4.0, its code GPL-3)",
        "Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection, 2022",
        "https://github.com/Fraud-Detection-Handbook/simulated-data-raw at 6e67dbd, 183 daily files repacked",
        {
            "time": "UTC, from 2018-04-01",
            "customer": "number",
            "terminal": "number",
            "amount_cents": "amount in cents",
            "labels.fraud": "0 or 1",
            "labels.scenario": "0: none; 1: amount above 220; 2: terminal compromised for 28 days; 3: customer's card "
            "used by others for 14 days",
        },
    ),
    "community": Source(
        (),
        "made up by govlab: no rights in it",
        "govlab.datasets.community(seed=7)",
        "govlab.datasets.community()",
        {
            "time": "when it happened, UTC",
            "arrival": "when it was delivered, UTC; rows are in this order",
            "event_id": "the same for a redelivery",
            "kind": "post, comment, like, follow, report or login",
            "actor": "member",
            "target": "post or member; null for logins",
            "text": "of posts and comments",
            "ip": "documentation ranges",
            "ok": "false for failed logins",
            "labels.event_id": "an event that belongs to an incident",
            "labels.incident_id": "the incident",
            "labels.known_at": "when it was known that it does",
        },
    ),
    "darpa": Source(
        ("darpa/darpa.npz",),
        "MIT Lincoln Laboratory, released to the public, no licence stated; edge file from an Apache-2.0 repo",
        "Lippmann et al.: Evaluating Intrusion Detection Systems, DISCEX 2000; edge stream: Bhatia et al.: MIDAS, AAAI 2020",
        "https://github.com/Stream-AD/MIDAS at 8193235, data/DARPA/darpa_original.zip",
        {
            "time": "minute of the edge, UTC, from 1998-06-01; goes back by 335 minutes once, near the end",
            "tick": "rank of the minute, 1 to 46,572: the time that papers use; never goes back",
            "source": "node number",
            "destination": "node number",
            "labels.anomalous": "0 or 1; 60 % are 1, so rare-event measures mean little here",
            "labels.attack": "name of the attack, '-' for none",
        },
    ),
    "elec2": Source(
        ("drift/elec2.csv.gz",),
        _NO_FORMAL_LICENCE,
        "Harries: SPLICE-2 Comparative Evaluation: Electricity Pricing, UNSW 1999; file: Losing, Hammer, Wersing, ICDM 2016",
        "https://github.com/vlosing/driftDatasets at 01d08de",
        {
            "time": "nominal: half an hour a row from 1996-05-07 (the set has 944 days of 48 rows)",
            "x0 .. x7": "date, day of the week, half-hour, NSW price, NSW demand, Victoria price, Victoria demand, "
            "transfer; scaled to 0..1 but for the day, which is 1 to 7",
            "labels.down": "1 (DOWN elsewhere): the NSW price is not above its mean of the last 24 hours; so x3 "
            "against the mean of the 48 rows before gives 99.9 % of the labels",
        },
    ),
    "http": Source(
        ("kdd_odds/http.npz",),
        "KDD Cup 1999, UCI, CC BY 4.0; file from a BSD-2 repo",
        "Rayana: ODDS Library, 2016; Han et al.: ADBench, NeurIPS 2022",
        "https://github.com/Minqi824/ADBench at 3dac822, adbench/datasets/Classical/16_http.npz",
        {
            "time": _MADE_UP_CLOCK,
            "x0 x1 x2": "log of duration, source bytes, destination bytes",
            "labels.anomalous": "0 or 1; 0.39 %, in ten bursts, two of them of about 1,000 rows",
        },
    ),
    "nab": Source(
        (),  # all under nab/: see `loaders.NAB_FILES`
        "MIT, (c) 2014-2024 Numenta",
        "Lavin, Ahmad: Evaluating Real-time Anomaly Detection Algorithms, ICMLA 2015",
        f"https://github.com/numenta/NAB at {NAB_COMMIT[:8]}",
        {
            "time": "as in the file, which names no time zone; taken as UTC. In seven series a few repeat, in one "
            "it goes back once",
            "value": "unit of the series: percent, bytes, seconds, degrees, tweets in 5 minutes, ...",
            "labels.series": "name of the series",
            "labels.start": "first moment of an anomaly window",
            "labels.end": "last moment, included",
        },
    ),
    "sea": Source(
        ("drift/sea.csv.gz",),
        _NO_FORMAL_LICENCE,
        "Street, Kim: A Streaming Ensemble Algorithm, KDD 2001; file: Losing, Hammer, Wersing, ICDM 2016",
        "https://github.com/vlosing/driftDatasets at 01d08de",
        {
            "time": _MADE_UP_CLOCK,
            "x0 x1 x2": "0 to 10; x2 says nothing",
            "labels.label": "0 or 1; the rule changes at rows 12,500, 25,000 and 37,500",
        },
    ),
    "shuttle": Source(
        ("kdd_odds/shuttle.npz",),
        "Statlog Shuttle, UCI, CC BY 4.0; file from a BSD-2 repo",
        "Rayana: ODDS Library, 2016; Han et al.: ADBench, NeurIPS 2022",
        "https://github.com/Minqi824/ADBench at 3dac822, adbench/datasets/Classical/32_shuttle.npz",
        {
            "time": _MADE_UP_CLOCK,
            "x0 .. x8": "as in the set",
            "labels.anomalous": "0 or 1; 7.15 %. The order is mixed: no bursts to find",
        },
    ),
    "tcpd": Source(
        ("tcpd/annotations.json",),  # and every other json file of tcpd/: see `loaders.needed`
        "MIT repo; each series has a source and licence of its own, see the repo",
        "van den Burg, Williams: An Evaluation of Change Point Detection Algorithms, 2020, arXiv 2003.06222",
        "https://github.com/alan-turing-institute/TCPD at 83b3039",
        {
            "time": "of the observation where the set tells it, otherwise made up: one a second from 2000-01-01",
            "(others)": "value, under its own name",
            "labels.series": "name of the series",
            "labels.annotator": "one of five people; a series they found no change in has one row with a null position",
            "labels.position": "row at which that person sees a change, from 0",
        },
    ),
    "uci_edges": Source(
        ("uci_edges/edges.csv.gz",),
        "KONECT, cite; file from an MIT repo",
        "Opsahl, Panzarasa: Clustering in weighted networks, Social Networks 31, 2009",
        "https://github.com/yuetan031/TADDY_pytorch at dfe15dd, data/raw/uci",
        {
            "time": "when the message was sent, UTC, 2004",
            "sender": "user number",
            "receiver": "user number",
            "weight": "always 1",
        },
    ),
    "wiki_edits": Source(
        ("wiki_reverts/enwiki_reverted_2015.csv.gz",),
        "MIT, (c) 2015 Aaron Halfaker; facts about revisions from Wikimedia",
        "Halfaker, Geiger: ORES, CSCW 2020",
        "https://github.com/wikimedia/editquality at 72aa0c7, "
        "datasets/demo/enwiki.features_reverted.{training,testing}.20k_2015.tsv.bz2",
        {
            "time": "when the edit was made, UTC; worked out, see time_exact",
            "rev_id": "revision number; rows are in this order",
            "time_exact": "1: to the second (anonymous edits); 0: between its neighbours (half within 3 minutes, 99 % "
            "within an hour)",
            "words_added": "and five more: what the edit added, removed or changed",
            "user_is_anon": "0 or 1",
            "user_is_bot_or_sysop": "0 or 1",
            "seconds_since_registration": "empty for anonymous edits",
            "labels.rev_id": "the edit",
            "labels.reverted": "1: undone as damaging within 48 hours; noisy",
            "labels.known_at": "time + 48 hours: the latest moment at which it was known",
        },
    ),
    "youtube_spam": Source(
        ("youtube_spam/comments.csv.gz",),
        "UCI 380, CC BY 4.0; the comments quote people: do not pass them on",
        "Alberto, Lochter, Almeida: TubeSpam, ICMLA 2015",
        "https://archive.ics.uci.edu/dataset/380/youtube+spam+collection",
        {
            "time": "when the comment was made, UTC; rows are in this order, undated ones are left out",
            "video": "short name of the video",
            "comment_id": "as in the set",
            "author": "salted hash of the name",
            "text": "the comment",
            "labels.comment_id": "the comment",
            "labels.spam": "0 or 1; about half are spam",
        },
    ),
}
