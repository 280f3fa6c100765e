"""Which SQL may answer differently each time although no row has changed. In doubt: it may.

A function that is called in SQL is known to depend on its arguments alone, or the project says so in
``REDIS_TOOLKIT_FUNCTIONS``, or answers that come of it are not cached. Databases call the first kind *immutable* and
*stable*, or *deterministic*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from redis_toolkit.conf import settings

__all__ = ["reason"]

_NAME: Final = re.compile(r"\"(?:[^\"]|\"\")*\"|`[^`]*`")
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
#: Django's way to write a column of SQLite as a moment; of the text "now" it would be that.
_OF_A_COLUMN: Final = re.compile(r"(?:strftime\((?:!|%s), |date\()\?\.\?\)", re.IGNORECASE)
#: A type like time(6) is none.
_CALL: Final = re.compile(r"(?<![\w.])(?!(?:time|timestamp) ?\(\d)([A-Za-z_][\w.]*)\s*\(", re.IGNORECASE)
#: Words that are values of the moment without being called.
_MOMENT: Final = re.compile(
    r"\b(?:CURRENT_\w+|LOCALTIME|LOCALTIMESTAMP|SESSION_USER|SYSTEM_USER|USER|SYSDATE|SYSTIMESTAMP)\b", re.IGNORECASE
)
#: Words of the language that may stand before a parenthesis, and types that take arguments.
_WORDS: Final = """
    all and any array as between bit by case char character decimal distinct else end except exists filter from having
    in interval intersect is isnull join lateral like ilike rlike limit not notnull null nullif numeric offset on or
    order over partition regexp row select similar some then to union using values varchar varying when where with
    within group collate escape xor div glob match mod nulls first last double precision
"""
#: What Django's expressions call, and what is often called beside them; the same answer for the same arguments.
_KNOWN: Final = """
    abs acos acosh ascii asin asinh atan atan2 atanh avg bit_and bit_count bit_length bit_or bit_xor bitxor bool_and
    bool_or btrim cast cbrt ceil ceiling char_length character_length chr coalesce concat concat_ws convert corr cos
    cosh cot count covar_pop covar_samp cume_dist degrees dense_rank div every exp extract factorial first_value floor
    format gcd greatest group_concat grouping hex unhex if ifnull iif initcap instr lag last_value lcase lcm lead
    least left length ln locate log log10 log2 lower lower_inc lower_inf lpad ltrim max md5 mid min mod nth_value
    ntile nullif octet_length overlay percent_rank percentile_cont percentile_disc pi position pow power printf quote
    radians range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round row_number row_to_json rpad rtrim sha1
    sha2 sha224 sha256 sha384 sha512 sign sin sinh soundex split_part sqrt stddev stddev_pop stddev_samp
    strict_word_similarity string_agg string_to_array strpos substr substring substring_index sum tan tanh to_hex
    to_number total translate trim trunc truncate typeof ucase unaccent unicode upper upper_inc upper_inf var_pop
    var_samp variance width_bucket word_similarity similarity

    date_add date_bin date_format date_part date_sub date_trunc datediff dayname dayofmonth dayofweek dayofyear
    from_unixtime hour isfinite justify_days justify_hours justify_interval last_day make_date make_interval make_time
    make_timestamp microsecond minute month monthname quarter second str_to_date time_format timediff timestampadd
    timestampdiff to_char to_date to_timestamp week weekday weekofyear year yearweek

    array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_json array_to_string array_upper cardinality generate_series
    generate_subscripts unnest akeys avals skeys svals hstore hstore_to_json isempty json json_agg json_array
    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_contains
    json_contains_path json_each json_each_text json_extract json_extract_path json_extract_path_text json_group_array
    json_group_object json_keys json_length json_object json_object_agg json_object_keys json_overlaps
    json_populate_record json_query json_quote json_search json_strip_nulls json_to_record json_type json_typeof
    json_unquote json_valid json_value jsonb jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_exists jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists
    jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set
    jsonb_strip_nulls jsonb_to_record jsonb_typeof to_json to_jsonb numnode phraseto_tsquery plainto_tsquery querytree
    setweight strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd ts_rewrite
    tsquery_phrase tsvector_to_array websearch_to_tsquery

    django_date_extract django_date_trunc django_datetime_cast_date django_datetime_cast_time django_datetime_extract
    django_datetime_trunc django_format_dtdelta django_time_diff django_time_extract django_time_trunc
    django_timestamp_diff
"""
#: Without arguments, or of the text "now", SQLite's functions of these names tell the time.
_OF_MYSQL: Final = frozenset({"convert_tz", "date", "datetime", "time", "timestamp"})
_HARMLESS: Final = frozenset(f"{_WORDS} {_KNOWN}".split())


def reason(sql: str, vendor: str) -> str | None:
    """Why the answer to ``sql`` of a ``vendor``'s database may change by itself, in a sentence; None if it cannot."""
    bare = _OF_A_COLUMN.sub("?", _LITERAL.sub("!", _NAME.sub("?", sql)))
    moment = _MOMENT.search(bare)
    if moment is not None:
        return f"its SQL asks for {moment.group()}, which changes by itself"
    known = {each.lower() for each in settings.FUNCTIONS} | (_OF_MYSQL if vendor == "mysql" else frozenset())
    for name in _called(bare):
        if name not in _HARMLESS and name not in known:
            return (
                f"its SQL calls {name}(), which may answer differently each time; if it does not, name it in "
                "REDIS_TOOLKIT_FUNCTIONS"
            )
    return None


def _called(sql: str) -> Iterator[str]:
    return (match[1].lower() for match in _CALL.finditer(sql))
