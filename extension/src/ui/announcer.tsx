/** Tells screen readers what changed, without showing anything. */
export function Announcer({ text }: { readonly text: string }) {
  return (
    <p class="unseen" role="status">
      {text}
    </p>
  )
}
