"""Which requests that fit the description may be refused all the same: for what no schema can say, and nothing else."""

import itertools
import json
import os
import re

import schemathesis

# What was there before anything was asked, for operations on what only people make: parameters by operation, in turn.
THERE = {name: itertools.cycle(all) for name, all in json.loads(os.environ.get("THERE", "{}")).items()}


@schemathesis.hook
def before_call(context, case, kwargs):
    there = THERE.get(case.operation.definition.raw.get("operationId"))
    if there and case.meta and case.meta.generation.mode.is_positive:
        case.path_parameters.update(next(there))


# Code and field of the problem, and what the schema cannot say.
UNSAID = [
    ("invalid_parameter", "page|before|after", "one of them at a time"),
    ("bad_request", r"(as_user\.)?user_id|members", "255 bytes, where a schema counts characters"),
    ("bad_request", "members", "two of a direct room, who differ, and none of another"),
    ("bad_request", r"name|as_user\.username", "something has to be left of it without what cannot be seen"),
    ("message_empty", "content", "the same"),
    ("message_too_long", "content", "how long a message may be is the deployment's and the room's own"),
    ("bad_request", r"(blocked|allowed)(\.\d+)?", "a term has a letter in it, and few wildcards"),
    ("bad_request", r"one_time_keys\.\d+|fallback_key", "a signature is the device's own"),
    ("invalid_type", "type", "types of messages for direct rooms, of emoji"),
    ("metadata_too_large", "metadata", "bytes as JSON, and levels"),
    ("bad_request", "metadata", "no NUL"),
    ("bad_request", "client_id", "a bad Idempotency-Key is refused only where the body has no client_id"),
    ("content_rejected", ".*", "the room's own terms"),
    ("bad_request", "content|franking|client_id|mentions", "what an encrypted message is made of, and has not"),
    ("bad_request", r"opened\.\w+", "the words and the key of one"),
    ("invalid_settings", r"settings\.visibility", "a direct room stays private"),
    ("bad_request", "room_id", "a hold is on a room, on a user, or on both"),
    ("too_many_(devices|blocks)", ".*", "what the user has by now"),
    ("bad_request", "role", "a room's maker stays its owner"),
]


def at(value, path):
    for name in path:
        value = value[int(name)] if isinstance(value, list) else value.get(name) if isinstance(value, dict) else None
    return value


def has_fraction(value):
    """5.0 is an integer to JSON Schema, and none to the service."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return isinstance(value, float) or any(map(has_fraction, inside))


@schemathesis.check
def said_by_no_schema(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in (400, 422):
        return
    # A user may be called so, and a URL cannot say it: `/./` is `/`.
    if {".", ".."} & set(map(str, (case.path_parameters or {}).values())):
        return
    problem = response.json()
    fields = [error["pointer"].removeprefix("#/").replace("/", ".") for error in problem.get("errors", [])]
    for field in fields or [""]:
        if not has_fraction(at(case.body, field.split("."))) and not any(re.fullmatch(code, problem["code"]) and re.fullmatch(names, field) for code, names, _ in UNSAID):
            raise AssertionError(f"refused, though it fits: {problem['code']} {field}: {problem['detail']}")
