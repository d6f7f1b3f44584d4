/** The time, told anew every second, for texts such as "4 s ago". */
import { second } from '@nightjar/shared/runtime'
import { useEffect, useState } from 'preact/hooks'

export function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), second)
    return () => clearInterval(timer)
  }, [])
  return now
}
