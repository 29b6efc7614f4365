use super::*;

#[test]
fn elements_are_sorted_by_themselves() {
    script(&[
        ("RPUSH l 3 10 2 1.5 2", ":5|"),
        ("SORT l", "*5|$3|1.5|$1|2|$1|2|$1|3|$2|10|"),
        ("SORT l DESC LIMIT 1 2", "*2|$1|3|$1|2|"),
        ("SORT l ALPHA", "*5|$3|1.5|$2|10|$1|2|$1|2|$1|3|"),
        ("SORT l LIMIT 9 1", "*0|"),
        ("SORT l LIMIT 0 x", "-ERR value is not an integer or out of range|"),
        ("SORT l BY nosort DESC LIMIT 0 2", "*2|$1|2|$3|1.5|"),
        ("SORT l UP", "-ERR syntax error|"),
        ("SORT_RO l STORE d", "-ERR syntax error|"),
        ("SORT none", "*0|"),
        ("RPUSH l x", ":6|"),
        ("SORT l", "-ERR One or more scores can't be converted into double|"),
        ("SORT l STORE d", "-ERR One or more scores can't be converted into double|"),
        ("EXISTS d", ":0|"),
        ("SET k v", "+OK|"),
        ("SORT k", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("ZADD z 3 a 2 b 1 c", ":3|"),
        ("SORT z BY nosort", "*3|$1|c|$1|b|$1|a|"),
        ("SORT z ALPHA", "*3|$1|a|$1|b|$1|c|"),
    ]);
}

#[test]
fn elements_are_sorted_by_other_keys_and_replaced_by_them() {
    script(&[
        ("SADD s a b c", ":3|"),
        ("MSET w_a 3 w_b 1 name_a anna name_c carl", "+OK|"),
        ("HSET h_b f 5 g x", ":2|"),
        ("SORT s BY w_*", "*3|$1|c|$1|b|$1|a|"),
        ("SORT s BY w_* DESC GET # GET name_*", "*6|$1|a|$4|anna|$1|b|$-1|$1|c|$4|carl|"),
        (
            "SORT s BY h_*->f GET h_*->g GET h_* GET fixed",
            "*9|$-1|$-1|$-1|$-1|$-1|$-1|$1|x|$-1|$-1|",
        ),
        ("SORT s BY w_* ALPHA STORE d GET name_*", ":3|"),
        ("LRANGE d 0 -1", "*3|$4|carl|$0||$4|anna|"),
        ("SORT s BY nosort STORE d", ":3|"),
        ("LRANGE d 0 -1", "*3|$1|a|$1|b|$1|c|"),
        ("EXPIRE d 100", ":1|"),
        ("SORT d ALPHA STORE d LIMIT 0 1", ":1|"),
        ("TTL d", ":-1|"),
        ("SORT none STORE d", ":0|"),
        ("EXISTS d", ":0|"),
        ("COMMAND GETKEYS SORT s BY store GET store STORE x STORE y", "*2|$1|s|$1|y|"),
        ("COMMAND GETKEYS SORT_RO s STORE x", "*1|$1|s|"),
    ]);
}

#[test]
fn who_waits_gets_what_a_sort_keeps() {
    let mut bench = bench();
    let (waits, gives) = (bench.open(), bench.open());
    ask(&mut bench, waits, "BLPOP d 0");
    ask(&mut bench, gives, "SADD s b a");
    assert_eq!(ask(&mut bench, gives, "SORT s ALPHA STORE d"), ":2|");
    assert_eq!(shown(&bench.record(waits).sent), "*2|$1|d|$1|a|");
}

#[test]
fn a_sort_reads_no_more_than_a_reply_may_have() {
    let mut bench = Bench::new(kv().with_bulk_limit(4096));
    let flow = bench.open();
    ask(&mut bench, flow, &format!("RPUSH l{}", " a".repeat(100)));
    ask(&mut bench, flow, &format!("SET w_a {}", "1".repeat(100)));
    const TOO_MUCH: &str = "-ERR SORT would read too much|";
    assert_eq!(ask(&mut bench, flow, "SORT l BY w_* LIMIT 0 1"), "*1|$1|a|");
    assert_eq!(ask(&mut bench, flow, "SORT l GET w_* ALPHA STORE d"), ":100|");
    let more = format!("SORT l ALPHA STORE e{}", " GET w_*".repeat(2));
    assert_eq!(ask(&mut bench, flow, &more), TOO_MUCH);
    ask(&mut bench, flow, &format!("RPUSH l{}", " a".repeat(100)));
    assert_eq!(ask(&mut bench, flow, "SORT l BY w_* LIMIT 0 1"), TOO_MUCH);
    assert_eq!(ask(&mut bench, flow, "EXISTS d e"), ":1|");
    let pattern = "*".repeat(glob::PATTERN_MAX + 1);
    let reply = ask(&mut bench, flow, &format!("SORT l BY {pattern}"));
    assert_eq!(reply, "-ERR pattern is too long|");
}
