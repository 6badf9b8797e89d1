# The conditions that must hold on a machine with cgroup v2. The guest's init sources this file (busybox's sh,
# as root), and run.sh expects a PASS for every line that begins with `check`. To add one:
# `check NAME COMMAND...`. /bin has busybox, `sage-host` and `cgroup-tests` (the unit tests of
# sage-machine). /suite has the files that run.sh copies from the project.

groups=/sys/fs/cgroup

# live COMPOSITION [COMMAND...]: runs every test of control groups, through COMMAND if there is one. A test that is
# skipped for lack of a controller fails.
live() {
    export SAGE_HOST_EXPECT_CGROUPS="$1" SAGE_TEST_REQUIRE=cgroup,cgroup2 SAGE_TEST_SKIPS=/tmp/skips
    shift
    "$@" cgroup-tests cgroup::
}

# in_group GROUP COMMAND...: runs COMMAND inside a group with all controllers delegated, like a systemd
# service. Afterwards no group of the host may be left inside, and the group must be able to hold processes
# again.
in_group() {
    group=$groups/$1
    shift
    echo "+cpu +cpuset +memory +pids" > $groups/cgroup.subtree_control
    mkdir -p "$group"
    sh -c 'echo 0 > "$0/cgroup.procs" && exec "$@"' "$group" "$@" || return
    left=$(find "$group" -mindepth 1 -type d)
    [ -z "$left" ] || { echo "left behind: $left"; return 1; }
    sh -c 'echo 0 > "$0/cgroup.procs"' "$group"
}

# as_user COMMAND...: runs COMMAND without any privilege, in a group that the user owns.
as_user() {
    mkdir -p $groups/users
    chown -R user $groups/users
    in_group users su -s /bin/sh user -c '"$0" "$@"' -- "$@"
}

# shouts [FILE=VALUE...]: a real run with worker processes. During the run each worker is in its group, whose
# files hold these values. The output is right, and no group is left afterwards.
shouts() {
    mkfifo /tmp/words
    sage-host run /suite/cgroup2/shout.toml --isolation process < /tmp/words > /tmp/shouted &
    run=$!
    exec 3> /tmp/words
    for worker in $groups/sage-host/default/shout/upper-0 $groups/sage-host/default/shout/upper-1; do
        until [ -n "$(cat $worker/cgroup.procs 2> /dev/null)" ]; do
            kill -0 $run || return
            usleep 20000
        done
        for wanted in "$@"; do
            found=$(cat "$worker/${wanted%%=*}")
            [ "$found" = "${wanted#*=}" ] || { echo "$worker/${wanted%%=*} reads $found, not ${wanted#*=}"; return 1; }
        done
    done
    for word in one two three; do echo $word; done >&3
    exec 3>&-
    wait $run || return
    [ "$(sort /tmp/shouted | tr '\n' ' ')" = "ONE THREE TWO " ] || { cat /tmp/shouted; return 1; }
    [ ! -e $groups/sage-host ] || { echo "left behind: $(find $groups/sage-host -type d)"; return 1; }
}

# examined [COMMAND...]: runs `doctor`, through COMMAND if there is one. Every limit of process isolation can be
# enforced, and nothing is left behind.
examined() {
    "$@" sage-host doctor --cache-folder "/tmp/examined-$#" || return
    [ ! -e $groups/sage-host ] || { echo "left behind: $(find $groups/sage-host -type d)"; return 1; }
}

# examined_without_rights: for a user in a group of another user, `doctor` reports how hard each limit still
# is, and the command that helps.
examined_without_rights() {
    su -s /bin/sh user -c 'sage-host doctor --cache-folder /tmp/examined-user' > /tmp/examined
    [ $? = 3 ] || { cat /tmp/examined; return 1; }
    for wanted in "only cooperative" "systemd-run --user --scope -p Delegate=yes"; do
        grep -q -- "$wanted" /tmp/examined || { cat /tmp/examined; return 1; }
    done
}

check unified live "cgroup v2"
check delegated live "cgroup v2, in a group handed down" in_group service
check rootless live "cgroup v2, in a group handed down" as_user
check run-in-worker-processes shouts "cpu.max=10000 20000" memory.swap.max=0 memory.oom.group=1
check examined examined
check examined-delegated examined in_group service
check examined-rootless examined as_user
check examined-without-rights examined_without_rights
