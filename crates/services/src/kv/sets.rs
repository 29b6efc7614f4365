//! Commands about one set.

use super::call::{Call, Outcome, SYNTAX};
use super::hashes::Pick;
use super::keys::Scan;
use super::values::Set;

pub(super) fn sadd(call: &mut Call<'_>) -> Outcome {
    let members = call.args.from(2);
    let insert = |set: &mut Set| members.iter().filter(|member| set.insert(member)).count();
    let added = call.edit_or_create_if(call.arg(1), insert, |added| *added > 0)?;
    call.out().count(added);
    Ok(())
}

pub(super) fn srem(call: &mut Call<'_>) -> Outcome {
    let members = call.args.from(2);
    let removed = call.amend(call.arg(1), |set: &mut Set| {
        members.iter().filter(|member| set.remove(member)).count()
    })?;
    call.out().count(removed);
    Ok(())
}

pub(super) fn scard(call: &mut Call<'_>) -> Outcome {
    let len = call.read::<Set>(call.arg(1))?.map_or(0, Set::len);
    call.out().count(len);
    Ok(())
}

pub(super) fn sismember(call: &mut Call<'_>) -> Outcome {
    let member = call.arg(2);
    let there = call.read::<Set>(call.arg(1))?.is_some_and(|set| set.contains(member));
    call.out().flag(there);
    Ok(())
}

pub(super) fn smismember(call: &mut Call<'_>) -> Outcome {
    let set = call.core.store.read::<Set>(call.session.db, call.args.get(1))?;
    let members = call.args.from(2);
    call.session.out.array(members.len());
    for member in members.iter() {
        call.session.out.flag(set.is_some_and(|set| set.contains(member)));
    }
    Ok(())
}

pub(super) fn smembers(call: &mut Call<'_>) -> Outcome {
    let set = call.core.store.read::<Set>(call.session.db, call.args.get(1))?;
    let out = &mut call.session.out;
    out.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| out.bulk(member));
    Ok(())
}

pub(super) fn smove(call: &mut Call<'_>) -> Outcome {
    let (from, to, member) = (call.arg(1), call.arg(2), call.arg(3));
    let Some(set) = call.read::<Set>(from)? else {
        call.out().flag(false);
        return Ok(());
    };
    let there = set.contains(member);
    call.read::<Set>(to)?;
    if there && from != to {
        call.edit(from, |set: &mut Set| set.remove(member))?;
        call.edit_or_create_if(to, |set: &mut Set| set.insert(member), |new| *new)?;
    }
    call.out().flag(there);
    Ok(())
}

/// Random members, by their places.
fn pick(call: &mut Call<'_>, pick: &Pick) -> Result<Vec<usize>, super::store::Failure> {
    let len = call.read::<Set>(call.arg(1))?.map_or(0, Set::len);
    Ok(pick.places(len, |end| call.core.store.random(end)))
}

pub(super) fn spop(call: &mut Call<'_>) -> Outcome {
    let wanted = match call.len() {
        2 => Pick::One,
        3 => Pick::Different(call.positive(2)?),
        _ => return Err(SYNTAX.into()),
    };
    let places = pick(call, &wanted)?;
    let set = call.core.store.read::<Set>(call.session.db, call.args.get(1))?;
    let members = places.iter().filter_map(|place| set.and_then(|set| set.at(*place)));
    let members: Vec<Box<[u8]>> = members.map(Box::from).collect();
    call.must_fit(members.len() + 1, members.iter().map(|member| member.len()).sum())?;
    if !members.is_empty() {
        call.edit(call.arg(1), |set: &mut Set| {
            members.iter().filter(|member| set.remove(member)).count()
        })?;
    }
    let out = call.out();
    if matches!(wanted, Pick::One) {
        out.bulk_or_null(members.first().map(|member| &**member));
    } else {
        out.set(members.len());
        members.iter().for_each(|member| out.bulk(member));
    }
    Ok(())
}

pub(super) fn srandmember(call: &mut Call<'_>) -> Outcome {
    if call.len() > 3 {
        return Err(SYNTAX.into());
    }
    let wanted = Pick::read(call, 2)?;
    let places = pick(call, &wanted)?;
    let set = call.core.store.read::<Set>(call.session.db, call.args.get(1))?;
    let at = |place: &usize| set.and_then(|set| set.at(*place)).unwrap_or_default();
    let mut members = places.iter().map(at);
    if matches!(wanted, Pick::One) {
        call.session.out.bulk_or_null(members.next());
    } else {
        call.session.out.bulks(members);
    }
    Ok(())
}

pub(super) fn sscan(call: &mut Call<'_>) -> Outcome {
    let Some(scan) = Scan::within::<Set>(call)? else { return Ok(()) };
    let set = call.core.store.read::<Set>(call.session.db, call.args.get(1))?;
    let (places, cursor) = scan.places(set.map_or(0, Set::len));
    let members = places.filter_map(|place| set.and_then(|set| set.at(place)));
    let found: Vec<&[u8]> = members.filter(|member| scan.fits(member)).collect();
    Scan::reply(&mut call.session.out, cursor, &found);
    Ok(())
}
