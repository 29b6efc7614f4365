use super::*;

#[test]
fn bits_are_set_read_and_counted() {
    script(&[
        ("SETBIT k 7 1", ":0|"),
        ("SETBIT k 7 0", ":1|"),
        ("SETBIT k 16 1", ":0|"),
        ("STRLEN k", ":3|"),
        ("GETBIT k 16", ":1|"),
        ("GETBIT k 999", ":0|"),
        ("GETBIT none 0", ":0|"),
        ("SETBIT k -1 1", "-ERR bit offset is not an integer or out of range|"),
        ("SETBIT k 4294967296 1", "-ERR bit offset is not an integer or out of range|"),
        ("SETBIT k 1 2", "-ERR bit is not an integer or out of range|"),
        ("SET k foobar", "+OK|"),
        ("BITCOUNT k", ":26|"),
        ("BITCOUNT k 0 0", ":4|"),
        ("BITCOUNT k 1 1", ":6|"),
        ("BITCOUNT k 5 30 BIT", ":17|"),
        ("BITCOUNT k 1", "-ERR syntax error|"),
        ("BITCOUNT none x", ":0|"),
        ("BITCOUNT k -1 -2", ":0|"),
        ("LPUSH l a", ":1|"),
        ("SETBIT l 0 1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("BITCOUNT l", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ]);
}

#[test]
fn the_first_bit_of_a_kind_is_found() {
    script(&[
        ("SETBIT k 12 1", ":0|"),
        ("BITPOS k 1", ":12|"),
        ("BITPOS k 1 0 11 BIT", ":-1|"),
        ("BITPOS k 1 2", ":-1|"),
        ("BITPOS k 0 -4 -1 BIT", ":13|"),
        ("BITPOS k 2", "-ERR The bit argument must be 1 or 0.|"),
        ("BITOP NOT k none", ":0|"),
        ("EXISTS k", ":0|"),
        ("BITPOS k 0", ":0|"),
        ("BITPOS k 1", ":-1|"),
        ("SETBIT k 15 0", ":0|"),
        ("BITOP NOT k k", ":2|"),
        ("BITPOS k 0", ":16|"),
        ("BITPOS k 0 0 -1", ":-1|"),
        ("BITPOS k 0 0 -1 x", "-ERR syntax error|"),
    ]);
}

#[test]
fn strings_are_combined_bit_by_bit() {
    script(&[
        ("MSET a abc b `b", "+OK|"),
        ("BITOP AND d a b none", ":3|"),
        ("BITCOUNT d", ":0|"),
        ("BITOP AND d a b", ":3|"),
        ("BITPOS d 1 2", ":-1|"),
        ("BITOP OR d a b", ":3|"),
        ("GET d", "$3|abc|"),
        ("BITOP XOR d a a b", ":3|"),
        ("GETRANGE d 0 1", "$2|`b|"),
        ("BITOP XOR d b b b", ":2|"),
        ("GET d", "$2|`b|"),
        ("EXPIRE d 100", ":1|"),
        ("BITOP XOR d a", ":3|"),
        ("TTL d", ":-1|"),
        ("BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key.|"),
        ("BITOP NOR d a b", "-ERR syntax error|"),
        ("SADD s x", ":1|"),
        ("BITOP OR d a s", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ]);
}
