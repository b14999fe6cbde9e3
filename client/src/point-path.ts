// The way of point calls: into the open frame of their partition; at the end of the turn (a lone call: when its caller
// waits) open frames go to their connections. While a partition has a frame on its way, and its connection is busy, its
// open frame goes on gathering, so that frames grow with the number of callers; a lone call never waits.
//
//   get, set, … ──► open frame of the lane ──► waiting frames of the lane ──► connection ──► daemon
//                   calls of one turn share it   departures.ts: while bytes in flight have room
//
// What cannot leave waits as frames: calls wait at the price of calls that do not, a promise, a share (point-call.ts) and
// their bytes once into the frame's buffer. Only while nobody has described the store, so that nobody knows the
// partition of a key, calls wait one by one, with bytes of their own.

import { type DescribeResponse, VarveError } from "@varve/proto"
import { unwatchAbort, watchAbort } from "./abort-watch.ts"
import { Connection } from "./connection.ts"
import type { ConnectionOwner } from "./connection-owner.ts"
import type { CallEnd } from "./control-calls.ts"
import { DeadlineAlarm } from "./deadline-alarm.ts"
import { Departures } from "./departures.ts"
import { Fifo } from "./fifo.ts"
import { Frame, type Work } from "./frame.ts"
import { Lanes } from "./lanes.ts"
import { Lineages } from "./lineages.ts"
import { deadlinePassed, noConnection } from "./no-connection.ts"
import { FRAME_RECORDS_MAX, type Settings } from "./options.ts"
import type { PointCall } from "./point-call.ts"
import { partitionsGone } from "./sent-again.ts"
import { Session } from "./session.ts"
import { SpareWriters } from "./spare-writers.ts"
import { ConnectionCounts, type StateStatistics } from "./statistics.ts"
import { Topology } from "./topology.ts"
import { isOver, type WaitingCall, type WaitingTurn } from "./waiting.ts"

export class PointPath implements ConnectionOwner {
  readonly counts = new ConnectionCounts()
  readonly lineages = new Lineages()
  readonly seed: Connection
  readonly #settings: Settings
  readonly #lanes: Lanes
  readonly #spareWriters = new SpareWriters()
  readonly #session: Session
  readonly #departures: Departures
  readonly #waiting = new Fifo<WaitingCall | WaitingTurn>()
  readonly #alarm = new DeadlineAlarm((nowMs) => this.#expire(nowMs))
  #topology: Topology | undefined
  #frameCount = 0
  #flushScheduled = false
  #closed: VarveError | undefined
  #nowMs = 0

  constructor(address: string, settings: Settings) {
    this.#settings = settings
    this.#session = new Session(settings.sessions)
    this.#departures = new Departures(this.#session, settings.inflightBytesMax)
    this.#lanes = new Lanes((each) => new Connection(each, settings, this), address)
    this.seed = this.#lanes.seed
    this.seed.connect()
  }

  get statistics(): StateStatistics {
    const { opened, lost, framesSent, framesSentAgain } = this.counts
    return {
      callsWaiting: this.#callsWaiting,
      inflightBytes: this.#departures.inflightBytes,
      inflightFrames: this.#frameCount,
      connectionsOpen: [...this.#lanes.connections].filter(({ isOpen }) => isOpen).length,
      connectionsOpened: opened,
      connectionsLost: lost,
      framesSent,
      framesSentAgain,
    }
  }

  /** For calls that any port of the daemon takes: the seed, or one that is open when the seed is not. */
  get anyConnection(): Connection {
    if (this.seed.isOpen) return this.seed
    for (const connection of this.#lanes.connections) if (connection.isOpen) return connection
    return this.seed
  }

  /**
   * Which calls read a partition, or without one the whole store in order, where the records are.
   * @returns one for each partition, unless one address has them all
   */
  waysTo(partition: number | undefined): { partition: number | undefined; connection: Connection }[] {
    const topology = this.#topology
    if (topology === undefined) return [{ partition, connection: this.seed }]
    const wayTo = (each: number): { partition: number; connection: Connection } => ({
      partition: each,
      connection: this.#lanes.connectionOf(topology, each),
    })
    if (partition !== undefined) return [wayTo(partition)]
    const ways = Array.from({ length: topology.partitionCount }, (_, each) => wayTo(each))
    const { connection } = ways[0]!
    return ways.every((way) => way.connection === connection) ? [{ partition, connection }] : ways
  }

  /** The present time; the same throughout a turn. Milliseconds of `performance.now()`. */
  now(): number {
    return this.#flushScheduled ? this.#nowMs : performance.now()
  }

  /**
   * What the call needs to start; `undefined`: nobody has described the store, it has to `wait`.
   * @throws VarveError `CLIENT_CLOSED`, `OVERLOADED`
   */
  admit(call: PointCall, bytes: number): Topology | undefined {
    if (this.#closed !== undefined) throw this.#closed
    const topology = this.#topology
    const waits = topology === undefined || !this.#departures.hasRoom(bytes)
    if (waits) this.#checkWaiting()
    this.#alarm.set(call.deadlineAt)
    return topology
  }

  /** Calls `start` when the store is described; what it throws fails the call. */
  wait(call: PointCall, start: (topology: Topology) => void): void {
    this.#waiting.push({ call, start })
    this.seed.connect()
  }

  /**
   * The open frame of a partition that takes `bytes` more of records: the same as the call before, if it can.
   * Conditional writes get one of their own. More than may be in flight at a time only a single call puts into one.
   */
  frameFor(topology: Topology, partition: number, work: Work, bytes: number, recordCount: number): Frame {
    const lane = this.#lanes.laneOf(topology, partition)
    const open = lane.openFrame
    if (
      open?.work === work &&
      work !== "conditionalWrites" &&
      open.records.bytes + bytes <= Math.min(topology.frameBytesMax, this.#settings.inflightBytesMax) &&
      open.records.count + recordCount <= FRAME_RECORDS_MAX
    ) {
      return open
    }
    const frame = new Frame(lane, work, this.#spareWriters.take())
    lane.frameCount++
    this.#frameCount++
    this.#departures.push(frame)
    this.#scheduleFlush()
    return frame
  }

  /** Makes the frame answer the call, whose records of `bytes` were just added to it. */
  added(frame: Frame, call: PointCall, bytes: number): void {
    frame.add(call)
    this.#departures.countCall(frame, bytes)
  }

  /** Counts `bytes` until the frame is done. */
  weigh(frame: Frame, bytes: number): void {
    this.#departures.weigh(frame, bytes)
  }

  /**
   * Resolves when the store was described and every point call that was made before has its answer, good or bad;
   * or at the deadline, or when the signal is aborted.
   * @throws (rejects) VarveError `DEADLINE_PASSED` when nothing described the store within `connectDeadlineMs`
   */
  settled(end: CallEnd): Promise<void> {
    const { signal } = end
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        clearTimeout(connectTimer)
        if (signal !== undefined) unwatchAbort(signal, finish)
        entry.over = true
      }
      const finish = (): void => {
        leave()
        resolve()
      }
      const timer = setTimeout(finish, Math.max(0, end.deadlineAt - performance.now()))
      const connectTimer = setTimeout(() => {
        if (this.#topology !== undefined) return
        leave()
        reject(noConnection(this.seed, end, this.#settings))
      }, this.#settings.connectDeadlineMs)
      if (signal !== undefined) watchAbort(signal, finish)
      const entry: WaitingTurn = { over: false, turn: () => this.#afterFrames(finish) }
      if (this.#waiting.length === 0 && this.#topology !== undefined) {
        entry.turn()
        return
      }
      this.#waiting.push(entry)
      this.seed.connect()
    })
  }

  /** Fails calls in frames with `error`; those that nobody has put into one, and later ones, with `notSent`. */
  close(error: VarveError, notSent: VarveError): void {
    if (this.#closed !== undefined) return
    this.#closed = notSent
    this.#failWaiting(notSent)
    this.#failWaitingFrames(() => true, notSent)
    for (const connection of this.#lanes.connections) connection.close(error)
    this.#alarm.clear()
  }

  described(response: DescribeResponse, connection: Connection): void {
    const topology = new Topology(response, this.#settings.store, connection.address)
    const before = this.#topology
    if (before !== undefined && before.partitionCount !== topology.partitionCount && this.#frameCount > 0) {
      this.#failFrames(
        `the store has ${topology.partitionCount} partitions now, not ${before.partitionCount}`,
      )
    }
    this.#topology = topology
    this.lineages.learn(topology.lineages)
    this.#lanes.moveFrames(topology)
    if (this.#closed === undefined) this.#startWaiting(topology)
  }

  refused(error: VarveError, connection: Connection): void {
    if (connection === this.seed) this.#failWaiting(error)
    this.#failWaitingFrames(({ lane }) => lane.connection === connection, error)
  }

  awaits(connection: Connection): boolean {
    return connection === this.seed && this.#waiting.length > 0 && this.#topology === undefined
  }

  unreachable(connection: Connection): void {
    if (connection !== this.seed) this.seed.askAgain()
  }

  placeOf(frame: Frame): ReturnType<Session["placeOf"]> {
    return this.#session.placeOf(frame)
  }

  lineageOf(partition: number): string {
    return this.#settings.rollback === "fail" ? this.lineages.of(partition) : ""
  }

  frameSplit(): void {
    this.#frameCount++
  }

  frameDone(frame: Frame): void {
    frame.lane.frameCount--
    this.#session.done(frame)
    this.#frameCount--
    this.#departures.done(frame)
    if (frame.answered) this.#spareWriters.give(frame.records)
    for (const done of frame.onDone) done()
    // Frames that gather calls, or found no room, wait for this.
    if (!this.#departures.isEmpty) this.#scheduleFlush()
  }

  get #callsWaiting(): number {
    return this.#departures.waitingCalls + this.#waiting.length
  }

  /** @throws VarveError `OVERLOADED` when no further call may wait */
  #checkWaiting(): void {
    const count = this.#callsWaiting
    if (count >= this.#settings.waitingCallsMax) throw refusal(count, this.#departures.inflightBytes)
  }

  #startWaiting(topology: Topology): void {
    for (const entry of this.#waiting.takeAll()) {
      if (isOver(entry)) continue
      if ("turn" in entry) {
        entry.turn()
        continue
      }
      try {
        entry.start(topology)
      } catch (error) {
        entry.call.fail(error)
      }
    }
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#nowMs = performance.now()
    this.#flushScheduled = true
    // Not a microtask or a tick: answers that arrive together wake callers one after the other, and each would send
    // a frame of its own. With nothing on its way no answer is to come: a lone call leaves at once.
    if (this.#frameCount <= 1) queueMicrotask(() => this.#flush())
    else setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushScheduled = false
    this.#departures.leave()
  }

  /** Calls `finish` when every frame of now is done. */
  #afterFrames(finish: () => void): void {
    let pending = 1
    const done = (): void => {
      if (--pending === 0) finish()
    }
    this.#forEachFrame((frame) => {
      pending++
      frame.onDone.push(done)
    })
    done()
  }

  #forEachFrame(visit: (frame: Frame) => void): void {
    for (const connection of this.#lanes.connections) connection.forEachFrame(visit)
    this.#departures.forEach(visit)
  }

  /** Fails calls whose deadline has passed; returns the earliest of the others. */
  #expire(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY
    const look = (call: PointCall): void => {
      if (call.settled) return
      if (call.deadlineAt > nowMs) {
        next = Math.min(next, call.deadlineAt)
        return
      }
      call.giveUp(this.#deadlinePassed(call))
    }
    this.#forEachFrame((frame) => frame.calls.forEach(look))
    this.#waiting.forEach((entry) => {
      if ("call" in entry) look(entry.call)
    })
    this.#waiting.filter((entry) => !isOver(entry))
    this.#dropGivenUp()
    return next
  }

  /** Lets go of what given-up calls have in frames that were not sent. */
  #dropGivenUp(): void {
    for (const connection of this.#lanes.connections) connection.dropGivenUp()
    for (const frame of this.#departures.dropGivenUp()) this.frameDone(frame)
  }

  #deadlinePassed(call: PointCall): VarveError {
    const { frame, deadlineMs, fate } = call
    const connection = frame?.lane.connection ?? this.seed
    return deadlinePassed(connection, `the deadline of ${deadlineMs} ms passed; ${fate}`)
  }

  #failWaiting(error: VarveError): void {
    for (const entry of this.#waiting.takeAll()) {
      if ("call" in entry) entry.call.fail(error)
      else entry.turn()
    }
  }

  /** Fails calls whose frames have not left, where `concerns` says so. */
  #failWaitingFrames(concerns: (frame: Frame) => boolean, error: VarveError): void {
    for (const frame of this.#departures.review((each) => !concerns(each))) {
      frame.fail(error)
      this.frameDone(frame)
    }
  }

  /** Fails the calls of all frames, whose partitions are no more. */
  #failFrames(what: string): void {
    this.#forEachFrame((frame) => {
      for (const call of frame.calls) call.giveUp(partitionsGone(what, frame.isFateUnknown))
    })
    this.#dropGivenUp()
  }
}

/** Without a stack, which takes longer than all the rest: it comes when there is no time, and tells where it was made only. */
function refusal(waiting: number, inflightBytes: number): VarveError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    const text = `${waiting} calls wait already (waitingCallsMax), with ${inflightBytes} bytes in flight`
    return new VarveError("OVERLOADED", text)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
