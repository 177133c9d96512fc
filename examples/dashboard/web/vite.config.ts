// Builds the page into ../static, which the Python server serves; `npm run dev` talks to a server on VITE_SERVER (default: port 8000).
import react from '@vitejs/plugin-react';
import { defineConfig, loadEnv } from 'vite';

export default defineConfig(({ mode }) => {
  const { VITE_SERVER = 'http://127.0.0.1:8000' } = loadEnv(mode, '.');
  return {
    plugins: [react()],
    build: { outDir: '../static', emptyOutDir: true, target: 'es2022' },
    server: { proxy: { '/wse': { target: VITE_SERVER, ws: true } } },
  };
});
