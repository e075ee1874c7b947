import { type EventHandler, TypedEventEmitter } from '@libp2p/interface'
import { tellListener } from './listener-warning.ts'

/**
 * The typed event target of js-libp2p, with a guard around each listener. If a listener throws or its promise
 * rejects, the other listeners are called all the same, and the error becomes a process warning
 * (`ListenerFailed`). On a plain `EventTarget` the error would end the process.
 */
export class GuardedEvents<Events extends Record<string, Event>> extends TypedEventEmitter<Events> {
  /**
   * Have `listener` called with each event of this type, until it is removed. What it throws, or rejects with, becomes
   * a process warning (`ListenerFailed`).
   *
   * @param options as an `EventTarget` takes them: with `once` it is called for the first event only, and a `signal`
   *   that aborts removes it
   */
  override addEventListener<E extends keyof Events>(
    type: E,
    listener: EventHandler<Events[E]> | null,
    options?: Parameters<EventTarget['addEventListener']>[2],
  ): void {
    super.addEventListener(type, listener && guard(listener), options)
  }

  /** Call `listener` no more for events of this type. One that was never added is no error. */
  override removeEventListener<E extends keyof Events>(
    type: E,
    listener?: EventHandler<Events[E]> | null,
    options?: Parameters<EventTarget['removeEventListener']>[2],
  ): void {
    super.removeEventListener(type, listener && guard(listener), options)
  }
}

// Each listener has one guard, so that it can be removed. A guard is its own guard, because `once` removes
// the function that it was given.
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
