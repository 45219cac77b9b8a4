// The mock's moving figures.
import { host, putImage, state } from './world.mjs';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
let ticks = 0;
const done = new Map();
const wave = (period, phase = 0) => (1 + Math.sin((ticks + phase) / period)) / 2;

function vmUsage(vm, index) {
  const busy =
    vm.status.phase === 'running' ? wave(6 + index, index * 9) * 0.7 + Math.random() * 0.2 : 0;
  return {
    cpu: busy * vm.spec.vcpus,
    cpuTimeMs: ticks * 500,
    memory: Math.round(vm.spec.memory * (0.45 + 0.08 * wave(30, index))),
    diskRead: 0,
    diskWritten: 0,
    diskReadRate: Math.round(busy * 40 * MIB * Math.random()),
    diskWriteRate: Math.round(busy * 12 * MIB),
    netReceived: 0,
    netSent: 0,
    netReceiveRate: Math.round(busy * 3 * MIB * Math.random()),
    netSendRate: Math.round(busy * 8 * MIB * wave(3)),
  };
}

function imageProgress(image) {
  const { id } = image.metadata;
  const arriving = image.status.phase === 'arriving';
  const rate = 112 * MIB;
  const now = (done.get(id) ?? image.status.fileSize * 0.3) + rate / 2;
  const total = image.status.fileSize;
  done.set(id, !arriving && now > total ? 0 : now);
  if (arriving && now > 3 * GIB) {
    done.delete(id);
    Object.assign(image.status, { phase: 'checking', fileSize: Math.round(now) });
    putImage(image);
  }
  const figures = arriving ? { task: 'receiving' } : { task: 'hashing', total };
  return {
    type: 'progress',
    kind: 'Image',
    id,
    progress: { ...figures, done: Math.round(now), rate },
  };
}

export function usage() {
  ticks += 1;
  const vms = [...state.vms.values()].filter(({ status }) => status.process);
  const moving = [...state.images.values()].filter(({ status }) =>
    ['arriving', 'checking'].includes(status.phase),
  );
  return [
    {
      type: 'host',
      usage: {
        cpu: host.status.cpus * (0.15 + 0.4 * wave(9)) + Math.random() * 0.3,
        memoryTotal: 16 * GIB,
        memoryAvailable: Math.round(16 * GIB * (0.62 + 0.05 * wave(20))),
        swapTotal: 4 * GIB,
        swapUsed: Math.round(0.3 * GIB),
        memoryPressure: Math.max(0, wave(14) * 4 - 2.4),
        dataFree: 212 * GIB,
      },
    },
    ...vms.map((vm, index) => ({ type: 'usage', id: vm.metadata.id, usage: vmUsage(vm, index) })),
    ...moving.map(imageProgress),
  ];
}
