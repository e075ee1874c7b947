import { type EventHandler, TypedEventEmitter } from '@libp2p/interface'
import { tellListener } from './listener-warning.ts'

/**
 * The typed event target of js-libp2p, where a listener that throws, or whose promise rejects, harms nobody: the
 * others are called all the same, and the error becomes a process warning (`ListenerFailed`). On a plain
 * `EventTarget` it would end the process.
 */
export class GuardedEvents<Events extends Record<string, Event>> extends TypedEventEmitter<Events> {
  override addEventListener<E extends keyof Events>(
    type: E,
    listener: EventHandler<Events[E]> | null,
    options?: Parameters<EventTarget['addEventListener']>[2],
  ): void {
    super.addEventListener(type, listener && guard(listener), options)
  }

  override removeEventListener<E extends keyof Events>(
    type: E,
    listener?: EventHandler<Events[E]> | null,
    options?: Parameters<EventTarget['removeEventListener']>[2],
  ): void {
    super.removeEventListener(type, listener && guard(listener), options)
  }
}

// One guard for each listener, so that it can be removed; and a guard is its own, for `once` removes what it was given.
const guards = new WeakMap<object, EventHandler<never>>()

function guard<E>(listener: EventHandler<E>): EventHandler<E> {
  const known = guards.get(listener)
  if (known !== undefined) return known as EventHandler<E>
  const call = (event: E): unknown =>
    typeof listener === 'function' ? listener(event) : listener.handleEvent(event)
  const guarded = (event: E): void => tellListener(call, event)
  guards.set(listener, guarded)
  guards.set(guarded, guarded)
  return guarded
}
