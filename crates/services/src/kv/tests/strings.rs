use super::*;

#[test]
fn set_and_get_with_all_options() {
    script(&[
        ("GET k", "$-1|"),
        ("SET k v", "+OK|"),
        ("get k", "$1|v|"),
        ("SET k w NX", "$-1|"),
        ("SET k w XX GET", "$1|v|"),
        ("SET n w XX", "$-1|"),
        ("SET n w NX GET", "$-1|"),
        ("SET k x EX 10", "+OK|"),
        ("TTL k", ":10|"),
        ("SET k y KEEPTTL", "+OK|"),
        ("PTTL k", ":10000|"),
        ("EXPIRETIME k", ":1000000011|"),
        ("PEXPIRETIME k", ":1000000010500|"),
        ("SET k y", "+OK|"),
        ("TTL k", ":-1|"),
        ("SET k y EX 0", "-ERR invalid expire time in 'set' command|"),
        ("SET k y EX x", "-ERR value is not an integer or out of range|"),
        ("SET k y EX 9223372036854775807", "-ERR invalid expire time in 'set' command|"),
        ("SET k y EX 1 PX 1", "-ERR syntax error|"),
        ("SET k y NX XX", "-ERR syntax error|"),
        ("SET k", "-ERR wrong number of arguments for 'set' command|"),
        ("SET k y PXAT 1", "+OK|"),
        ("GET k", "$-1|"),
        ("LPUSH l 1", ":1|"),
        ("GET l", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SET l 1 GET", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SET l 1", "+OK|"),
        ("TYPE l", "+string|"),
    ]);
}

#[test]
fn numbers_are_counted() {
    script(&[
        ("INCR n", ":1|"),
        ("INCRBY n 41", ":42|"),
        ("DECRBY n 2", ":40|"),
        ("DECR n", ":39|"),
        ("SET n 9223372036854775807", "+OK|"),
        ("INCR n", "-ERR increment or decrement would overflow|"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow|"),
        ("SET n x", "+OK|"),
        ("INCR n", "-ERR value is not an integer or out of range|"),
        ("SET n 10.5", "+OK|"),
        ("INCRBYFLOAT n 0.1", "$4|10.6|"),
        ("INCRBYFLOAT n x", "-ERR value is not a valid float|"),
        ("INCRBYFLOAT n inf", "-ERR increment would produce NaN or Infinity|"),
    ]);
}

#[test]
fn parts_of_strings() {
    script(&[
        ("APPEND k Hello", ":5|"),
        ("APPEND k _World", ":11|"),
        ("STRLEN k", ":11|"),
        ("GETRANGE k 0 4", "$5|Hello|"),
        ("GETRANGE k -5 -1", "$5|World|"),
        ("GETRANGE k 5 2", "$0||"),
        ("GETRANGE k -100 -50", "$1|H|"),
        ("GETRANGE k -1 -2", "$0||"),
        ("SETRANGE k 6 Redis", ":11|"),
        ("SETRANGE z 2 x", ":3|"),
        ("SETRANGE y 2 \"\"", ":0|"),
        ("EXISTS y z", ":1|"),
        ("SETRANGE z -1 x", "-ERR offset is out of range|"),
        (
            "SETRANGE z 536870912 x",
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)|",
        ),
    ]);
}

#[test]
fn several_strings_at_once() {
    script(&[
        ("MSET a 1 b 2", "+OK|"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command|"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command|"),
        ("MGET a c b", "*3|$1|1|$-1|$1|2|"),
        ("MSETNX b 3 c 3", ":0|"),
        ("MSETNX c 3 d 3", ":1|"),
        ("SETNX c 4", ":0|"),
        ("GETSET c 4", "$1|3|"),
        ("GETDEL c", "$1|4|"),
        ("GETDEL c", "$-1|"),
        ("GETEX a EX 100", "$1|1|"),
        ("TTL a", ":100|"),
        ("GETEX a PERSIST", "$1|1|"),
        ("TTL a", ":-1|"),
        ("SETEX e 0 v", "-ERR invalid expire time in 'setex' command|"),
        ("PSETEX e 1500 v", "+OK|"),
        ("PTTL e", ":1500|"),
    ]);
}

#[test]
fn keys_are_listed_renamed_copied_and_deleted() {
    script(&[
        ("MSET one 1 two 2 three 3", "+OK|"),
        ("KEYS t*", "*2|$3|two|$5|three|"),
        ("SCAN 0 COUNT 2", "*2|$13|2491081031679|*2|$5|three|$3|one|"),
        ("SCAN 2491081031679 COUNT 2", "*2|$1|0|*1|$3|two|"),
        ("SCAN 0 MATCH o* TYPE string", "*2|$1|0|*1|$3|one|"),
        ("SCAN x", "-ERR invalid cursor|"),
        ("RENAME none x", "-ERR no such key|"),
        ("RENAME one uno", "+OK|"),
        ("RENAMENX uno two", ":0|"),
        ("RENAMENX uno eins", ":1|"),
        ("COPY eins two", ":0|"),
        ("COPY eins two REPLACE", ":1|"),
        ("COPY eins eins", "-ERR source and destination objects are the same|"),
        ("GET two", "$1|1|"),
        ("MOVE two 3", ":1|"),
        ("MOVE two 16", "-ERR DB index is out of range|"),
        ("EXISTS two eins eins", ":2|"),
        ("SELECT 3", "+OK|"),
        ("RANDOMKEY", "$3|two|"),
        ("OBJECT ENCODING two", "$3|int|"),
        ("SWAPDB 3 4", "+OK|"),
        ("DBSIZE", ":0|"),
        ("SELECT 4", "+OK|"),
        ("UNLINK two none", ":1|"),
        ("SELECT 99", "-ERR DB index is out of range|"),
        ("FLUSHALL", "+OK|"),
        ("DBSIZE", ":0|"),
    ]);
}

#[test]
fn expiry_has_conditions() {
    script(&[
        ("EXPIRE k 10", ":0|"),
        ("TTL k", ":-2|"),
        ("SET k v", "+OK|"),
        ("EXPIRE k 10 XX", ":0|"),
        ("EXPIRE k 10 GT", ":0|"),
        ("EXPIRE k 10 LT", ":1|"),
        ("EXPIRE k 20 NX", ":0|"),
        ("PEXPIRE k 20000 GT", ":1|"),
        ("TTL k", ":20|"),
        ("PERSIST k", ":1|"),
        ("PERSIST k", ":0|"),
        (
            "EXPIRE k 1 NX GT",
            "-ERR NX and XX, GT or LT options at the same time are not compatible|",
        ),
        ("EXPIRE k 1 LT GT", "-ERR GT and LT options at the same time are not compatible|"),
        ("EXPIRE k 1 now", "-ERR Unsupported option now|"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command|"),
        ("EXPIREAT k 1000000100", ":1|"),
        ("PTTL k", ":99500|"),
        ("EXPIRE k -1", ":1|"),
        ("EXISTS k", ":0|"),
    ]);
}

#[test]
fn keys_end_when_their_time_has_come() {
    let mut bench = bench();
    let flow = bench.open();
    ask(&mut bench, flow, "SET k v PX 1500");
    bench.replace(kv()).unwrap();
    bench.advance(Duration::from_millis(1499));
    assert_eq!(ask(&mut bench, flow, "PTTL k"), ":1|");
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.service().core.store.len(0), 0, "a tick has removed it");
    assert_eq!(ask(&mut bench, flow, "GET k"), "$-1|");
    assert_eq!(ask(&mut bench, flow, "TIME"), "*2|$10|1000000002|$1|0|");
}

#[test]
fn a_full_memory_refuses_what_needs_more_of_it() {
    let mut bench = Bench::new(Kv::new(EPOCH, 1, Some(300)));
    let flow = bench.open();
    let large = format!("SET k {}", "x".repeat(300));
    assert_eq!(ask(&mut bench, flow, &large), "+OK|");
    let full = "-OOM command not allowed when used memory > 'maxmemory'.|";
    assert_eq!(ask(&mut bench, flow, "SET l v"), full);
    assert_eq!(ask(&mut bench, flow, "STRLEN k"), ":300|");
    assert_eq!(ask(&mut bench, flow, "DEL k"), ":1|");
    assert_eq!(ask(&mut bench, flow, "SET l v"), "+OK|");
    assert_eq!(ask(&mut bench, flow, "CONFIG SET maxmemory 1kb"), "+OK|");
    assert_eq!(ask(&mut bench, flow, "CONFIG GET maxmemor?"), "*2|$9|maxmemory|$4|1024|");
}
