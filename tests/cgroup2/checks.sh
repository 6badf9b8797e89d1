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

# served: a server whose tenant has a user of its own. The worker of the tenant's job has this user and is in the
# tenant's group, whose ceilings are root's; a restart adopts the job, and a stop of it leaves no group of the tenant.
# The server is in a group of its own in a delegated one, like the service (`DelegateSubgroup=`).
served() {
    group=$groups/served/sage-host-supervisor
    echo "+cpu +cpuset +memory +pids" > $groups/cgroup.subtree_control
    mkdir -p $group
    printf '%s\n' 'lease_folder = "/leases"' '[tenant.blue]' 'memory = "256MiB"' 'cpus = 0.6' > /tmp/host.toml
    sed -e 's/^stdin = .*/generate = { rate = 100, payload_bytes = 16 }/' -e 's/^stdout = .*/discard = {}/' \
        -e 's/^parallelism = 2/parallelism = 1/' /suite/cgroup2/shout.toml > /suite/cgroup2/endless.toml
    serve() {
        rm -f /tmp/ready
        sh -c 'echo 0 > "$0/cgroup.procs" && exec "$@"' $group sage-host serve --state /served --socket /served/s \
            --listen off --host /tmp/host.toml --output json > /tmp/ready 2> /tmp/served &
        server=$!
        until [ -s /tmp/ready ]; do kill -0 $server || { cat /tmp/served; return 1; }; usleep 20000; done
    }
    serve || return
    sage-host submit /suite/cgroup2/endless.toml --name shouts --wait running --tenant blue --socket /served/s \
        || { cat /tmp/served; return 1; }
    tenant=$groups/served/sage-host/blue
    [ "$(cat $tenant/memory.max) $(cat $tenant/cpu.max) $(stat -c %u $tenant/memory.max)" = "268435456 12000 20000 0" ] \
        || { cat $tenant/memory.max $tenant/cpu.max; return 1; }
    for folder in "$(find $tenant -name upper-0)" "$(find $tenant -name host)"; do
        process=$(head -n 1 $folder/cgroup.procs)
        [ "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' /proc/$process/status)" = 1900000001 ] \
            || { grep -H Uid /proc/$process/status; return 1; }
    done
    kill -9 $server
    wait $server
    serve || return
    grep -q '"adopted":1' /tmp/ready || { cat /tmp/ready; return 1; }
    sage-host stop shouts --tenant blue --socket /served/s || return
    until ! sage-host ps --tenant blue --socket /served/s | grep -q 'running\|draining'; do usleep 20000; done
    [ ! -e $tenant ] || { echo "left behind: $(find $tenant -type d)"; return 1; }
    kill $server
    wait $server
}

check unified live "cgroup v2"
check delegated live "cgroup v2, in a group handed down" in_group service
check rootless live "cgroup v2, in a group handed down" as_user
check run-in-worker-processes shouts "cpu.max=10000 20000" memory.swap.max=0 memory.oom.group=1
check served served
check examined examined
check examined-delegated examined in_group service
check examined-rootless examined as_user
check examined-without-rights examined_without_rights
