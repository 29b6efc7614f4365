use super::*;

/// What the first connection is told by HELLO 3.
const HELLO: &str = "%7|$6|server|$5|redis|$7|version|$5|7.0.0|$5|proto|:3|$2|id|:1|$4|mode|$10|standalone|\
                     $4|role|$6|master|$7|modules|*0|";

#[test]
fn sorted_sets_are_combined() {
    script(&[
        ("ZADD a 1 x 2 y 3 z", ":3|"),
        ("ZADD b 10 y 20 z 30 w", ":3|"),
        ("SADD s x w", ":2|"),
        ("ZUNION 2 a b", "*4|$1|x|$1|y|$1|z|$1|w|"),
        ("ZUNION 2 b s WEIGHTS 1 -5 WITHSCORES", "*8|$1|x|$2|-5|$1|y|$2|10|$1|z|$2|20|$1|w|$2|25|"),
        ("ZINTER 2 a b AGGREGATE MAX WITHSCORES", "*4|$1|y|$2|10|$1|z|$2|20|"),
        ("ZDIFF 2 a b WITHSCORES", "*2|$1|x|$1|1|"),
        ("ZDIFF 2 a a", "*0|"),
        ("ZINTERCARD 2 a b", ":2|"),
        ("ZINTERCARD 2 a b LIMIT 1", ":1|"),
        ("ZINTERCARD 2 a b LIMIT -1", "-ERR LIMIT can't be negative|"),
        ("ZUNIONSTORE d 3 a b none AGGREGATE MIN", ":4|"),
        ("ZRANGE d 0 -1 WITHSCORES", "*8|$1|x|$1|1|$1|y|$1|2|$1|z|$1|3|$1|w|$2|30|"),
        ("ZINTERSTORE d 2 d s", ":2|"),
        ("ZDIFFSTORE d 2 d s", ":0|"),
        ("EXISTS d", ":0|"),
        ("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command|"),
        ("ZUNION 2 a", "-ERR syntax error|"),
        ("ZDIFF 1 a WEIGHTS 1", "-ERR syntax error|"),
        ("ZUNIONSTORE d 1 a WITHSCORES", "-ERR syntax error|"),
        ("ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float|"),
        ("SET k v", "+OK|"),
        ("ZUNION 2 a k x", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("HELLO 3", HELLO),
        ("ZDIFF 1 a WITHSCORES", "*3|*2|$1|x|,1|*2|$1|y|,2|*2|$1|z|,3|"),
    ]);
}

#[test]
fn members_are_taken_from_the_first_sorted_set_that_is_there() {
    script(&[
        ("ZADD a 1 x 2 y 3 z", ":3|"),
        ("ZMPOP 2 none a MAX COUNT 2", "*2|$1|a|*2|*2|$1|z|$1|3|*2|$1|y|$1|2|"),
        ("BZMPOP 0 2 none a MIN", "*2|$1|a|*1|*2|$1|x|$1|1|"),
        ("ZMPOP 1 a MIN", "*-1|"),
        ("ZMPOP 1 a LEFT", "-ERR syntax error|"),
        ("ZMPOP 1 a MIN COUNT 0", "-ERR count should be greater than 0|"),
        ("ZMPOP 0 a MIN", "-ERR numkeys should be greater than 0|"),
        ("COMMAND GETKEYS ZUNIONSTORE d 2 a b", "*3|$1|d|$1|a|$1|b|"),
        ("COMMAND GETKEYS BZMPOP 0 1 a MIN", "*1|$1|a|"),
        ("COMMAND GETKEYS ZMPOP 3 a MIN", "-ERR Invalid arguments specified for command|"),
    ]);
}

#[test]
fn who_waits_is_served_from_a_result_that_is_new() {
    let mut bench = bench();
    let (waits, gives) = (bench.open(), bench.open());
    ask(&mut bench, waits, "BZMPOP 0 1 d MAX");
    ask(&mut bench, gives, "ZADD a 1 x 2 y");
    ask(&mut bench, gives, "SET d taken");
    assert_eq!(ask(&mut bench, gives, "ZUNIONSTORE d 1 a"), ":2|");
    assert_eq!(shown(&bench.record(waits).sent), "", "its key had another type");
    ask(&mut bench, gives, "DEL d");
    bench.replace(kv()).unwrap();
    assert_eq!(ask(&mut bench, gives, "ZUNIONSTORE d 1 a"), ":2|");
    assert_eq!(shown(&bench.record(waits).sent), "*2|$1|d|*1|*2|$1|y|$1|2|");
}

#[test]
fn keys_are_not_read_again_and_again() {
    let mut bench = bench();
    let flow = bench.open();
    let members: String = (0..2_000).map(|member| format!(" 1 {member}")).collect();
    ask(&mut bench, flow, &format!("ZADD z{members}"));
    let again = |line: &str, count: usize| format!("{line} {count}{}", " z".repeat(count));
    let fits = crate::kv::sorted_algebra::AGAIN_MAX / 2_000;
    assert_eq!(ask(&mut bench, flow, &again("ZUNIONSTORE d", fits)), ":2000|");
    for line in ["ZUNIONSTORE d", "ZINTERSTORE d", "ZINTERCARD", "ZDIFF"] {
        let reply = ask(&mut bench, flow, &again(line, fits + 2));
        assert_eq!(reply, "-ERR keys are named too often|", "{line}");
    }
}
