/** The environment variable that names the bug to plant. */
export const PLANTED_BUG = 'PLANTED_BUG'

/** A mistake, as a small edit of the source, that the simulator has to find. */
export interface PlantedBug {
  readonly name: string
  /** Relative to `src/`. */
  readonly file: string
  /** What is replaced. It is there exactly once. */
  readonly text: string
  readonly replacement: string
  /** The promise that it breaks. */
  readonly promise: string
  /** The workload in which it is looked for. Default: `map`. */
  readonly workload?: string
}

/** By the promise that they break. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a capture shares the tree',
    file: 'machines/tree/packed-tree.ts',
    text: 'return new PackedTree(this.#order, { root, height, pages: new Pages() })',
    replacement: 'return this',
    promise: 'one anchor, one content',
  },
  {
    name: 'an install forgets the leases',
    file: 'machines/expiring-items.ts',
    text: `        this.#putLeases(leases)
`,
    replacement: '',
    promise: 'one anchor, one content',
  },
  {
    name: 'a write leaves the lease that the key had',
    file: 'machines/expiring-items.ts',
    text: `    if (dead !== undefined) this.#leases.unregister(key)
`,
    replacement: '',
    promise: 'one anchor, one content',
  },
  {
    name: 'a capture of a list shares its tree',
    file: 'machines/state-items.ts',
    text: 'this.#tree = tree.capture()',
    replacement: 'this.#tree = tree',
    promise: 'one anchor, one content',
    workload: 'list',
  },
  {
    name: 'a leaf is written in place though a capture shares it',
    file: 'machines/tree/leaves.ts',
    text: `    path.own()
    const taken = leaf.taken + more
`,
    replacement: `    path.own()
    if (leaf.edition !== 0) return
    const taken = leaf.taken + more
`,
    promise: 'one anchor, one content',
  },
  {
    name: 'compaction moves a leaf and loses an item',
    file: 'machines/tree/compaction.ts',
    text: `      // The bytes are the same: so is the version, by which a cut knows them.
`,
    replacement: `      moved.remove(moved.length - 1)
`,
    promise: 'one anchor, one content',
    workload: 'pages',
  },
  {
    name: 'a chunk is taken over though a run of it changed',
    file: 'snapshot/run-cutter.ts',
    text: 'if (versions[at] === run.version) return',
    replacement: 'if (at > 0 || versions[at] === run.version) return',
    promise: 'one anchor, one content',
    workload: 'pages',
  },
  {
    name: 'a condition holds one index further',
    file: 'machines/list/list-items.ts',
    text: 'this.#tree.seekAt(index)\n    return sameBytes',
    replacement: 'this.#tree.seekAt(Math.min(index + 1, this.#tree.size - 1))\n    return sameBytes',
    promise: 'one anchor, one content',
    workload: 'list',
  },
  {
    name: 'the cursor after an install is one too far',
    file: 'replica/following/applier.ts',
    text: 'this.#restore(anchor.index, carried)',
    replacement: 'this.#restore(anchor.index + 1, carried)',
    promise: 'one anchor, one content',
  },
  {
    name: 'an install is not atomic',
    file: 'replica/following/applier.ts',
    text: 'if (kept === undefined) commit()',
    replacement: 'if (kept === undefined) void this.#init.clock.turn().then(() => commit())',
    promise: 'one anchor, one content',
  },
  {
    name: 'a capture comes after the entries behind its marker',
    file: 'replica/following/outcomes.ts',
    text: 'return anchors.marked(outcome.index, outcome.marker, newest)',
    replacement: 'return queueMicrotask(() => anchors.marked(outcome.index, outcome.marker, newest))',
    promise: 'one anchor, one content',
  },
  {
    name: 'a compareAndSet drops the TTL',
    file: 'machines/map/replicated-map.ts',
    text: 'if (value !== undefined) this.#set(key, value, ttlMs)',
    replacement: 'if (value !== undefined) this.#set(key, value, undefined)',
    promise: 'one anchor, one content',
  },
  {
    name: 'a chunk is not verified',
    file: 'sync/fetching/chunks/chunk-tracker.ts',
    text: `    if (!sameBytes(chunkHash(bytes), info.hash)) throw new MalformedChunk('its hash is another')
`,
    replacement: '',
    promise: 'nothing unverified',
    workload: 'chunks',
  },
  {
    name: 'a minority seals',
    file: 'group/seal.ts',
    text: 'return electors * 2 > this.#electorate.size',
    replacement: 'return electors * 3 > this.#electorate.size',
    promise: 'nothing unverified',
  },
  {
    name: 'strangers attest',
    file: 'group/seal.ts',
    text: 'if (!this.#electorate.has(author) || this.#roots.has(author)) return undefined',
    replacement: 'if (this.#roots.has(author)) return undefined',
    promise: 'nothing unverified',
  },
  {
    name: 'a checkpoint is not verified',
    file: 'checkpoint/file.ts',
    text: `      if (!sameBytes(chunkHash(verified.bytes), verified.info.hash)) {
        throw new CheckpointDamaged(path, \`the hash of chunk \${index} is wrong\`)
      }
`,
    replacement: '',
    promise: 'nothing unverified',
  },
  {
    name: 'an install forgets the term',
    file: 'group/group-state.ts',
    text: `    this.#term = term
`,
    replacement: '',
    promise: 'nothing unverified',
  },
  {
    name: 'what was fetched is installed before it is sealed',
    file: 'sync/fetching/chunks/fetch.ts',
    text: 'const isSealed = manifest !== undefined && this.#listings.isSealedList(manifest)',
    replacement: 'const isSealed = manifest !== undefined',
    promise: 'nothing unverified',
  },
  {
    name: 'a pin does not hold the log',
    file: 'group/pruning.ts',
    text: `    if (progress.holds(member))
      holds.push({ by: 'catch-up', upTo: own >= needs ? own : needs - 1, member: id })
`,
    replacement: '',
    promise: 'never prune the only copy',
  },
  {
    name: 'an offer does not hold the log',
    file: 'group/pruning.ts',
    text: "      if (!progress.hasStalled(anchor)) holds.push({ by: 'offer', upTo: anchor - 1, member: id })",
    replacement: '      void anchor',
    promise: 'never prune the only copy',
  },
  {
    name: 'the log is pruned past every checkpoint',
    file: 'group/pruning.ts',
    text: `  if (!volatile)
    holds.push({ by: 'checkpoint', upTo: Math.max(0, ...members.map(({ checkpoint }) => checkpoint)) })
`,
    replacement: '',
    promise: 'never prune the only copy',
  },
  {
    name: 'the pruned entry is one too many',
    file: 'group/pruning.ts',
    text: "{ by: 'offer', upTo: anchor - 1, member: id }",
    replacement: "{ by: 'offer', upTo: anchor, member: id }",
    promise: 'never prune the only copy',
  },
  {
    name: 'a checkpoint that nobody agreed on allows a prune',
    file: 'checkpoint/store.ts',
    text: 'this.#newestSealed = sealed ? position.index : await this.#sealedBelow(position.index)',
    replacement: 'this.#newestSealed = position.index',
    promise: 'never prune the only copy',
  },
  {
    name: 'a checkpoint is not flushed',
    file: 'checkpoint/file.ts',
    text: `      await file.flush()
`,
    replacement: '',
    promise: 'never prune the only copy',
  },
  {
    name: 'a chunk is not flushed',
    file: 'checkpoint/chunk-files.ts',
    text: 'await storage.write(draft, bytes, { flush: true })',
    replacement: 'await storage.write(draft, bytes)',
    promise: 'never prune the only copy',
  },
  {
    name: 'the names of chunks are not flushed',
    file: 'checkpoint/store.ts',
    text: `    await this.chunks.flushNames()
`,
    replacement: '',
    promise: 'never prune the only copy',
  },
  {
    name: 'a chunk goes with the first of its checkpoints',
    file: 'checkpoint/chunk-files.ts',
    text: 'entries) entry.holds--',
    replacement: 'entries) entry.holds = 0',
    promise: 'never prune the only copy',
  },
  {
    name: 'a deposed leader prunes',
    file: 'replica/membership/pruner.ts',
    text: `    if (group.leader !== self) return
    const outcome`,
    replacement: '    const outcome',
    promise: 'never prune the only copy',
  },
  {
    name: 'a checkpoint is told of before it is written',
    file: 'checkpoint/store.ts',
    text: '      const chunkBytes = await',
    replacement: `      if (sealed) this.#newestSealed = position.index
      const chunkBytes = await`,
    promise: 'never prune the only copy',
  },
  {
    name: 'presences age by the clock of their store',
    file: 'log/presence.ts',
    text: 'return { ...presence, ageMs: nowMs - sighting.writtenMs }',
    replacement: 'return presence',
    promise: 'never prune the only copy',
  },
  {
    name: 'a lost acknowledgement is repeated',
    file: 'replica/following/submissions.ts',
    text: '() => log.append([entry], { ...(signal && { signal }) })',
    replacement: `() => {
        const once = () => log.append([entry], { ...(signal && { signal }) })
        return once().catch((error) => {
          if (error.code === 'APPEND_UNCERTAIN') return once()
          throw error
        })
      }`,
    promise: 'acknowledged writes are there once',
  },
  {
    name: 'a fetch does not revive',
    file: 'snapshot/available.ts',
    text: `    this.#leases.revive(key, this.#init.ttlMs)
`,
    replacement: '',
    promise: 'alive as long as needed',
  },
  {
    name: 'an offer never ends',
    file: 'snapshot/available.ts',
    text: `onExpired: (expired) => this.#release(this.#held.get(expired)!, 'expired'),`,
    replacement: 'onExpired: (expired) => void this.#leases.register(expired, this.#init.ttlMs),',
    promise: 'alive as long as needed',
  },
  {
    name: 'a deadline is lengthened by a restart',
    file: 'replica/disk/disk.ts',
    text: 'if (cut !== undefined && remainingMs > 0) sync.adopt(position, cut, remainingMs)',
    replacement:
      'if (cut !== undefined && remainingMs > 0) sync.adopt(position, cut, this.#init.sealTimeoutMs * 10)',
    promise: 'alive as long as needed',
  },
  {
    name: 'an offer that is used expires',
    file: 'snapshot/available.ts',
    text: `    held.uses++
`,
    replacement: '',
    promise: 'alive as long as needed',
  },
  {
    name: 'a revived offer ends at its old deadline',
    file: 'leases/lease-table.ts',
    text: `      this.#putOff[slot] = 1
`,
    replacement: '',
    promise: 'alive as long as needed',
  },
  {
    name: 'the time away does not count',
    file: 'leases/lease-table.ts',
    text: 'const awayMs = Math.max(0, clock.wallNow() - takenAtMs)',
    replacement: 'const awayMs = 0',
    promise: 'alive as long as needed',
  },
  {
    name: 'machine time goes by the newest stamp',
    file: 'group/machine-time.ts',
    text: `    return this.#timeMs > before
  }`,
    replacement: `    if (stampMs > this.#timeMs) this.#timeMs = stampMs
    return this.#timeMs > before
  }`,
    promise: 'any clock',
  },
  {
    name: 'machine time is not restored by an install',
    file: 'group/group-state.ts',
    text: `    this.#time = new MachineTime(timeMs, clocks)
    this.#entry`,
    replacement: `    this.#time = new MachineTime(Math.max(timeMs, this.#time.ms))
    this.#entry`,
    promise: 'any clock',
  },
  {
    name: 'the leader never ticks',
    file: 'replica/membership/ticks.ts',
    text: 'if (dueMs === undefined || dueMs <= group.timeMs) return',
    replacement: 'return',
    promise: 'any clock',
  },
  {
    name: 'the known clocks are not carried',
    file: 'group/group-state.ts',
    text: `return this.#time.clocks
`,
    replacement: `return []
`,
    promise: 'any clock',
  },
  {
    name: 'only commands move machine time',
    file: 'replica/following/applier.ts',
    text: 'if (own && group.advance(entry.timestampMs))',
    replacement: `if (own && entry.kind === 'command' && group.advance(entry.timestampMs))`,
    promise: 'any clock',
  },
  {
    name: 'a TTL begins at the wall clock',
    file: 'machines/expiring-items.ts',
    text: 'this.#leases.register(key, ttlMs)',
    replacement: 'this.#leases.registerUntil(key, Date.now() + ttlMs)',
    promise: 'any clock',
  },
  {
    name: 'a write with a key is applied each time',
    file: 'group/recent-writes.ts',
    text: `    if (first !== undefined) return { type: 'repeated', first }
`,
    replacement: '    void first\n',
    promise: 'one anchor, one content',
    workload: 'payments',
  },
  {
    name: 'a joiner knows no keys',
    file: 'group/recent-writes.ts',
    text: 'for (const { name, index } of this.#ring) this.#indexes.set(name, index)',
    replacement: 'this.#ring = []',
    promise: 'one anchor, one content',
    workload: 'payments',
  },
  {
    name: 'what a write expects is not looked at',
    file: 'group/recent-writes.ts',
    text: 'if (expect !== undefined && this.#newest > expect)',
    replacement: 'if (expect === -1)',
    promise: 'one anchor, one content',
    workload: 'payments',
  },
  {
    name: 'a machine does nothing after an install',
    file: 'replica/following/after-install.ts',
    text: 'this.#isDue = this.#machine.afterInstall !== undefined',
    replacement: 'this.#isDue = false',
    promise: 'acknowledged writes are there once',
    workload: 'payments',
  },
  {
    name: 'a write with conditions that a snapshot covers was applied',
    file: 'replica/following/writes.ts',
    text: `    if (conditions === undefined) return this.#written`,
    replacement: `    if (index > 0) return this.#written`,
    promise: 'acknowledged writes are there once',
    workload: 'payments',
  },
  {
    name: 'writes that a snapshot covers are forgotten',
    file: 'replica/following/writes.ts',
    text: `      settle(waiting, () => this.#coveredAt(waitingIndex, waiting.conditions))
`,
    replacement: '',
    promise: 'always an answer',
  },
  {
    name: 'who waits is not told that the state is lost',
    file: 'replica/following/applier.ts',
    text: `    this.writes.fail(reason)
    this.waiters.fail(reason)`,
    replacement: '    void reason',
    promise: 'always an answer',
  },
  {
    name: 'a stale leader is obeyed',
    file: 'group/group-state.ts',
    text: `        if (!this.#leads(entry.author, control.term)) return this.#void(entry.author, control.term)
        // An upgrade came between.`,
    replacement: '        // An upgrade came between.',
    promise: 'everyone gets in sync',
  },
  {
    name: 'a second claim of a term wins',
    file: 'group/group-state.ts',
    text: 'if (control.term !== this.#term + 1) return',
    replacement: 'if (control.term < this.#term) return',
    promise: 'everyone gets in sync',
  },
  {
    name: 'a broken session is not begun again',
    file: 'replica/following/follower.ts',
    text: `        await this.#unserved(lag, error, triedMs, signal)
`,
    replacement: `        throw error
`,
    promise: 'everyone gets in sync',
  },
  {
    name: 'a claim is never made',
    file: 'group/leadership.ts',
    text: 'if (isVacant) await appendControl(',
    replacement: 'if (!isVacant) await appendControl(',
    promise: 'everyone gets in sync',
  },
  {
    name: 'places of peers are never given back',
    file: 'sync/serving/quota.ts',
    text: 'const left = this.#counts.get(peer)! - 1',
    replacement: 'const left = this.#counts.get(peer)!',
    promise: 'everyone gets in sync',
  },
  {
    name: 'anchors are not counted',
    file: 'sync/serving/anchor-allocator.ts',
    text: 'if (count - retires.length >= LIVE_ANCHORS_MAX) {',
    replacement: 'if (count - retires.length >= 1_000) {',
    promise: 'bounded',
  },
  {
    name: 'each request has its own marker',
    file: 'sync/serving/anchor-allocator.ts',
    text: `      else if (this.#name(anchor)) return anchor
`,
    replacement: '',
    promise: 'bounded',
  },
  {
    name: 'the log is never pruned',
    file: 'replica/membership/pruner.ts',
    text: 'if (wanted === undefined || !this.#leads()) return',
    replacement: 'return',
    promise: 'bounded',
  },
  {
    name: 'checkpoints are not dropped',
    file: 'checkpoint/store.ts',
    text: `    this.#files.keepLatest(keep)
`,
    replacement: '',
    promise: 'bounded',
  },
  {
    name: 'chunks are not given back',
    file: 'checkpoint/chunk-files.ts',
    text: '    this.#unneeded.dropBelow(Number.POSITIVE_INFINITY)',
    replacement: '    void this.#unneeded',
    promise: 'bounded',
  },
  {
    name: 'anybody is served',
    file: 'sync/serving/admission.ts',
    text: `    if (!this.#isMember(peer)) throw new Unauthorized('announce yourself to the group first')
`,
    replacement: '',
    promise: 'only members are served',
  },
  {
    name: 'a checkpoint of another log is loaded',
    file: 'checkpoint/store.ts',
    text: `    if (position.epoch !== ours.epoch) throw new CheckpointMismatch(path, 'epoch', position.epoch, ours.epoch)
`,
    replacement: '',
    promise: 'a mistake is told, not obeyed',
  },
  {
    name: 'a log that was put back halts nobody',
    file: 'replica/following/follower.ts',
    text: 'return [EpochChanged, LogDamaged, LogRewound, UpgradeRequired].some(',
    replacement: 'return [EpochChanged, LogDamaged, UpgradeRequired].some(',
    promise: 'a mistake is told, not obeyed',
  },
  {
    name: 'a second process of one identity goes on',
    file: 'group/namesakes.ts',
    text: `    this.#hasYielded = true
    return 'yield'`,
    replacement: `    return 'found'`,
    promise: 'a mistake is told, not obeyed',
  },
  {
    name: 'a barrier is passed one entry early',
    file: 'replica/following/positions.ts',
    text: 'await this.reached({ epoch: log.epoch, index: newest.index }, options)',
    replacement: 'await this.reached({ epoch: log.epoch, index: Math.max(0, newest.index - 1) }, options)',
    promise: 'acknowledged writes are there once',
  },
  {
    name: 'a ticker goes on',
    file: 'time/ticker.ts',
    text: `    this.#timer?.cancel()
    this.#next?.reject(reason)`,
    replacement: '    this.#next?.reject(reason)',
    promise: 'stop leaves nothing',
  },
  {
    name: 'a stopped replica stays in the group',
    file: 'replica/stop.ts',
    text: `  await announcer.leave({ led })
`,
    replacement: '',
    promise: 'stop leaves nothing',
  },
  {
    name: 'streams stay open when the session is over',
    file: 'sync/fetching/session.ts',
    text: `      this.#stop.abort(new Error('the session is over'))
      void basis?.then((own) => own?.release())
      await this.#peers.close()
`,
    replacement: `      void basis?.then((own) => own?.release())
`,
    promise: 'stop leaves nothing',
  },
  {
    name: 'a stop does not end the watch of the members',
    file: 'group/membership.ts',
    text: 'log.notices.watch({ signal })',
    replacement: 'log.notices.watch()',
    promise: 'stop leaves nothing',
  },
  {
    name: 'a marker of another version counts',
    file: 'group/group-state.ts',
    text: 'if (this.#format > FIRST_FORMAT && control.signature !== this.#signature) {',
    replacement: `if (this.#format > FIRST_FORMAT && control.signature === 'no') {`,
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'an upgrade is obeyed whatever it goes from',
    file: 'group/group-state.ts',
    text: 'return from === this.#signature && isNewer && isCarried',
    replacement: 'return isNewer && isCarried',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a machine goes over after its entry',
    file: 'replica/following/applier.ts',
    text: `if (outcome?.type === 'upgraded') this.#upgradeMachine(outcome.from, outcome.to, index)`,
    replacement: `const { clock } = this.#init
    if (outcome?.type === 'upgraded')
      void clock.turn().then(() => this.#upgradeMachine(outcome.from, outcome.to, index))`,
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a newer format begins with what was counted before',
    file: 'group/group-state.ts',
    text: `if (this.#format === FIRST_FORMAT) this.#writes.restore(index, [])
`,
    replacement: '',
    promise: 'one anchor, one content',
    workload: 'versions',
  },
  {
    name: 'an upgrade waits for some, and not for all',
    file: 'replica/membership/upgrader.ts',
    text: 'members.every((member) => speaks',
    replacement: 'members.some((member) => speaks',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'an upgrade waits for nothing',
    file: 'replica/membership/upgrader.ts',
    text: 'if (waitMs > 0) this.#timer',
    replacement: 'if (waitMs > 600_000) this.#timer',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a snapshot is installed as one of the newest version',
    file: 'replica/snapshots/replica-host.ts',
    text: 'return (await seals.signatureAt(anchor, signal)) ?? group.bound',
    replacement: 'return ((await seals.signatureAt(anchor, signal)), group.versions.newest)',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a state is captured in the newest version',
    file: 'replica/snapshots/anchors.ts',
    text: 'machine.capture(group.signature)',
    replacement: 'machine.capture(machine.signature)',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'an upgrade that is not spoken is obeyed',
    file: 'replica/following/applier.ts',
    text: "if (own && entry.kind === 'control') this.#assertSpoken(entry)",
    replacement: '',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a snapshot of a newer format is installed',
    file: 'replica/following/applier.ts',
    text: `      onCommit: ({ anchor, control, carried }, commit) => {
        this.#init.group.assertRestorable(carried)
`,
    replacement: `      onCommit: ({ anchor, control, carried }, commit) => {
`,
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'an install forgets the version',
    file: 'group/group-state.ts',
    text: 'this.#signature = signature ?? this.bound',
    replacement: 'void signature',
    promise: 'one version at a time',
    workload: 'versions',
  },
  {
    name: 'a group never goes over',
    file: 'replica/membership/upgrader.ts',
    text: 'else this.#attempt(() => this.#upgradeUnasked(newest))',
    replacement: 'else void newest',
    promise: 'everyone gets in sync',
    workload: 'versions',
  },
]

/** Where a bug's file is. */
export function sourceOf({ file }: Pick<PlantedBug, 'file'>): URL {
  return new URL(`../../src/${file}`, import.meta.url)
}

/** The source with the bug in it. Throws where its text is not there, or more than once. */
export function edited({ name, file, text, replacement }: PlantedBug, source: string): string {
  const count = source.split(text).length - 1
  if (count !== 1)
    throw new Error(`planted bug "${name}": its text is ${count} times in src/${file}, not once`)
  // A function, so that a dollar sign stands for itself.
  return source.replace(text, () => replacement)
}
