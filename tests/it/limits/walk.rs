//! Thousands of random steps over far more sessions than may live: after them it must still be true that no backend ever had more
//! live than it may, that a session had one home at a time, that nothing was executed twice and nothing told twice, and that
//! every call was answered.

use super::world::World;
use crate::moves::{chance::rounds, checks::assert_sound};

#[tokio::test]
async fn a_long_walk_with_few_seats() {
    let mut world = World::new(1, 65, "").await;
    world.fill().await;
    let steps = rounds("PILOTFISH_STEPS", 600);
    for number in 0..steps {
        world.step().await;
        if number % 200 == 199 {
            world.audit().await;
            assert_sound(&world.storage());
        }
    }
    world.audit().await;
    assert_sound(&world.storage());
    world.assert_no_spinning().await;
    let finished = world.finished();
    println!(
        "{steps} steps, {} calls, {finished} turns surely ended, all kept; errors {:?}",
        world.calls, world.refusals
    );
    assert!(finished > steps / 40, "{finished}");
}
