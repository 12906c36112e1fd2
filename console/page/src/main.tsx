import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { takeToken } from './api.ts'
import { App } from './app.tsx'
import './style.css'

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App initialToken={takeToken()} />
    </StrictMode>,
  )
}
