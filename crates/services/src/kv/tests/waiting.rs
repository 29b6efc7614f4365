use super::*;

#[test]
fn who_waits_longest_is_served_first() {
    let mut bench = bench();
    let (one, other, giver) = (bench.open(), bench.open(), bench.open());
    assert_eq!(ask(&mut bench, one, "BLPOP x l 0"), "");
    assert_eq!(ask(&mut bench, other, "BRPOP l 0"), "");
    bench.replace(kv()).unwrap();
    bench.data(one, &request("PING"));
    assert_eq!(
        ask(&mut bench, giver, "INFO clients"),
        "$51|# Clients|connected_clients:3|blocked_clients:2||"
    );
    assert_eq!(ask(&mut bench, giver, "RPUSH l a b c"), ":3|");
    assert_eq!(shown(&bench.record(one).sent), "*2|$1|l|$1|a|+PONG|");
    assert_eq!(shown(&bench.record(other).sent), "*2|$1|l|$1|c|");
    assert_eq!(ask(&mut bench, giver, "LRANGE l 0 -1"), "*1|$1|b|");
    assert_eq!(ask(&mut bench, one, "BLPOP l 0"), "*2|$1|l|$1|b|");
}

#[test]
fn waiting_ends_in_vain_when_its_time_is_up() {
    let mut bench = bench();
    let (one, other) = (bench.open(), bench.open());
    ask(&mut bench, one, "BLPOP l 0.5");
    ask(&mut bench, other, "BLMOVE l m LEFT LEFT 1");
    bench.replace(kv()).unwrap();
    bench.advance(Duration::from_millis(499));
    assert!(bench.record(one).sent.is_empty());
    bench.advance(Duration::from_millis(1));
    assert_eq!(shown(&bench.record(one).sent), "*-1|");
    bench.advance(Duration::from_secs(1));
    assert_eq!(shown(&bench.record(other).sent), "$-1|");
    assert_eq!(ask(&mut bench, one, "RPUSH l a"), ":1|");
    assert_eq!(ask(&mut bench, one, "LLEN l"), ":1|");
}

#[test]
fn a_moved_item_wakes_the_next_one_in_the_chain() {
    let mut bench = bench();
    let (first, second, giver) = (bench.open(), bench.open(), bench.open());
    ask(&mut bench, second, "BLPOP m 0");
    ask(&mut bench, first, "BLMOVE l m LEFT RIGHT 0");
    assert_eq!(ask(&mut bench, giver, "LPUSH l a"), ":1|");
    assert_eq!(shown(&bench.record(first).sent), "$1|a|");
    assert_eq!(shown(&bench.record(second).sent), "*2|$1|m|$1|a|");
    ask(&mut bench, first, "BZPOPMIN z 0");
    ask(&mut bench, giver, "ZADD z 2 b 1 a");
    assert!(shown(&bench.record(first).sent).ends_with("*3|$1|z|$1|a|$1|1|"));
    ask(&mut bench, first, "BLMPOP 0 1 l LEFT COUNT 2");
    ask(&mut bench, giver, "SADD l x");
    ask(&mut bench, giver, "DEL l");
    ask(&mut bench, giver, "RPUSH l x y z");
    assert!(shown(&bench.record(first).sent).ends_with("*2|$1|l|*2|$1|x|$1|y|"));
}

#[test]
fn an_empty_result_is_nothing_that_came() {
    let mut bench = bench();
    let (waits, gives) = (bench.open(), bench.open());
    ask(&mut bench, waits, "BZPOPMIN a b 0");
    for line in ["MULTI", "ZDIFFSTORE a 1 none", "ZADD b 1 x", "ZADD a 1 y", "EXEC"] {
        ask(&mut bench, gives, line);
    }
    assert_eq!(shown(&bench.record(waits).sent), "*3|$1|b|$1|x|$1|1|");
}

#[test]
fn a_key_that_was_there_under_another_type_serves_nobody() {
    let mut bench = bench();
    let (waits, gives) = (bench.open(), bench.open());
    ask(&mut bench, waits, "BLPOP l 0");
    ask(&mut bench, gives, "SADD s a");
    ask(&mut bench, gives, "SET l taken");
    assert_eq!(ask(&mut bench, gives, "SORT s ALPHA STORE l"), ":1|");
    assert_eq!(ask(&mut bench, gives, "RPUSH l b"), ":2|");
    assert_eq!(shown(&bench.record(waits).sent), "");
    ask(&mut bench, gives, "DEL l");
    assert_eq!(ask(&mut bench, gives, "RPUSH l c"), ":1|");
    assert_eq!(shown(&bench.record(waits).sent), "*2|$1|l|$1|c|");
}

#[test]
fn who_goes_waits_no_more() {
    let mut bench = bench();
    let (gone, ends, unblocked, giver) = (bench.open(), bench.open(), bench.open(), bench.open());
    for flow in [gone, ends, unblocked] {
        ask(&mut bench, flow, "BLPOP l 100");
    }
    bench.end(gone, CloseReason::Reset);
    bench.finish(ends);
    assert!(bench.record(ends).closed);
    assert_eq!(ask(&mut bench, giver, "CLIENT UNBLOCK 3 ERROR"), ":1|");
    assert_eq!(
        shown(&bench.record(unblocked).sent),
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK|"
    );
    assert_eq!(ask(&mut bench, giver, "RPUSH l a"), ":1|");
    assert_eq!(ask(&mut bench, giver, "LLEN l"), ":1|");
    assert_eq!(bench.service().core.waiting.next_tick(), None);
}

#[test]
fn a_client_that_waits_and_sends_on_is_paused() {
    let mut bench = bench();
    let (flow, giver) = (bench.open(), bench.open());
    ask(&mut bench, flow, "BLPOP l 0");
    let echo = request(&format!("ECHO {}", "x".repeat(9000)));
    for _ in 0..300 {
        bench.data(flow, &echo);
    }
    assert!(bench.record(flow).paused && bench.record(flow).held() > 0);
    ask(&mut bench, giver, "RPUSH l a");
    bench.drain(flow);
    bench.data(flow, b"PING\r\n");
    bench.drain(flow);
    assert!(!bench.record(flow).paused);
    assert!(shown(&bench.record(flow).sent).ends_with("+PONG|"));
}
