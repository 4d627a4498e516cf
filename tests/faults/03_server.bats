#!/usr/bin/env bats
# Row 3: shards of the parameter server killed with -9. docs/reliability.md

load helpers

@test "3: a shard dies while it gathers a step" {
  survives 3 "while gathering" server.gathering:kill:40:2 2
}

@test "3: a shard dies in the optimizer" {
  survives 3 "in the optimizer" server.in_optimizer:kill:100:2 2
}

@test "3: a shard dies after the optimizer, before it reports" {
  survives 3 "after the optimizer" server.after_apply:kill:13:2 2
}

# bats test_tags=ci
@test "3: a shard dies in the middle of a checkpoint write" {
  survives 3 "in the middle of a checkpoint write" 'write(model-0):torn=100:5:2' 2
}

@test "3: a shard dies after the rename of its files" {
  survives 3 "after rename" server.after_rename:kill:2:2 2
}

@test "3: a shard dies while it serves a pull" {
  survives 3 "while serving a pull" server.serving_pull:kill:30:2 2
}
