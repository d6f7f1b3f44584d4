/**
 * What a hostile page does before anything else: it puts itself in the way of whatever may pass between an extension's
 * scripts, in its own window and in each window that it makes. What it gets hold of is kept in `caught`.
 */
const caught = { listened: new Set(), dispatched: new Set(), ports: new Set() }

function hook(scope) {
  const { EventTarget, MessageChannel, MessagePort } = scope
  const { addEventListener, dispatchEvent } = EventTarget.prototype
  const { postMessage } = MessagePort.prototype
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    caught.listened.add(String(type))
    return addEventListener.call(this, type, ...rest)
  }
  EventTarget.prototype.dispatchEvent = function (event) {
    caught.dispatched.add(event.type)
    for (const port of event.ports ?? []) caught.ports.add(port)
    return dispatchEvent.call(this, event)
  }
  scope.MessageChannel = class extends MessageChannel {
    constructor() {
      super()
      caught.ports.add(this.port1).add(this.port2)
    }
  }
  MessagePort.prototype.postMessage = function (...args) {
    caught.ports.add(this)
    return postMessage.apply(this, args)
  }
}

hook(window)
Object.assign(globalThis, { caught, hook })
