//! The same walk with two proxies on one Redis: one of them is killed, stopped for longer than its holds last, and started again, and
//! backends die meanwhile. No session may have two homes while the store is there and nobody was stopped.

use rustix::process::Signal;

use super::world::World;
use crate::{deadline::within, moves::chance::rounds, store::server::Server};

/// Longer than a hold of a proxy that is stopped lasts, by the clock of the Redis.
const LONGER_MS: &str = "900";

fn shared(redis: &Server) -> String {
    format!("[store]\nkind = \"redis\"\naddresses = [\"{}\"]\nttl = \"600ms\"\n", redis.address())
}

/// Until every hold that was not renewed is over.
async fn until_holds_are_over(redis: &Server) {
    redis.command(&["SET", "walk", "x", "PX", LONGER_MS]).await;
    let over = async { while redis.command(&["EXISTS", "walk"]).await != ":0\r\n" {} };
    within(|| "the end of a key".into(), over).await;
}

/// One that is killed: its clients come to whoever is there.
async fn kill_one(world: &mut World) {
    let at = world.chance.below(2);
    world.settle_but(at).await;
    world.proxies[at].signal(Signal::KILL);
    world.flee(at).await;
    for _ in 0..world.chance.below(10) {
        world.step_of(1 - at).await;
    }
    world.relaunch(at).await;
}

/// One that stands still for so long that another one may have taken its sessions over.
async fn stop_one(world: &mut World, redis: &Server) {
    let at = world.chance.below(2);
    world.settle().await;
    world.proxies[at].signal(Signal::STOP);
    for _ in 0..world.chance.below(10) {
        world.step_of(1 - at).await;
    }
    until_holds_are_over(redis).await;
    for _ in 0..world.chance.below(20) {
        world.step_of(1 - at).await;
    }
    world.settle_but(at).await;
    world.proxies[at].signal(Signal::CONT);
}

#[tokio::test]
async fn two_proxies_one_of_which_is_killed_and_stopped() {
    let redis = Server::start().await;
    let mut world = World::new(2, 66, &shared(&redis)).await;
    world.fill().await;
    let steps = rounds("PILOTFISH_STEPS", 600) / 2;
    let mut excused = 0;
    for number in 0..steps {
        world.step().await;
        if number % 50 == 24 {
            world.expect_one_home(excused);
            kill_one(&mut world).await;
            world.expect_one_home(excused);
        }
        if number % 50 == 49 {
            world.expect_one_home(excused);
            stop_one(&mut world, &redis).await;
            // Backends heard no word of the one that stood still, so they kept what it had open.
            world.audit().await;
            excused = world.storage().overlaps().len();
        }
    }
    world.audit().await;
    let finished = world.finished();
    println!(
        "{steps} steps, {} calls, {finished} turns surely ended, all kept; {excused} overlaps while one was stopped; errors {:?}",
        world.calls, world.refusals
    );
    assert!(finished > steps / 40, "{finished}");
}
