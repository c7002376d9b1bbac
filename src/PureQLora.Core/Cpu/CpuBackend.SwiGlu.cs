using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void SwiGluForward(Tensor gate, Tensor up, Tensor y)
    {
        switch (VectorBits)
        {
            case 512:
                SwiGluForward<Lanes512, Vector512<float>>(gate, up, y);
                break;
            case 256:
                SwiGluForward<Lanes256, Vector256<float>>(gate, up, y);
                break;
            case 32:
                SwiGluForward<LanesScalar, float>(gate, up, y);
                break;
            default:
                SwiGluForward<Lanes128, Vector128<float>>(gate, up, y);
                break;
        }
    }

    /// <inheritdoc/>
    public void SwiGluBackward(Tensor dy, Tensor gate, Tensor up, GradientTarget dGate, GradientTarget dUp)
    {
        switch (VectorBits)
        {
            case 512:
                SwiGluBackward<Lanes512, Vector512<float>>(dy, gate, up, dGate, dUp);
                break;
            case 256:
                SwiGluBackward<Lanes256, Vector256<float>>(dy, gate, up, dGate, dUp);
                break;
            case 32:
                SwiGluBackward<LanesScalar, float>(dy, gate, up, dGate, dUp);
                break;
            default:
                SwiGluBackward<Lanes128, Vector128<float>>(dy, gate, up, dGate, dUp);
                break;
        }
    }

    private void SwiGluForward<TLanes, TVector>(Tensor gate, Tensor up, Tensor y)
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        SwiGluForwardBody<TLanes, TVector> body = new(Floats(gate), Floats(up), Floats(y));
        _pool.For(gate.Shape.Count, ElementGrain, ref body);
    }

    private void SwiGluBackward<TLanes, TVector>(Tensor dy, Tensor gate, Tensor up, GradientTarget dGate, GradientTarget dUp)
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        SwiGluBackwardBody<TLanes, TVector> body = new(Floats(dy), Floats(gate), Floats(up), Floats(dGate.Tensor), Floats(dUp.Tensor), dGate.Accumulate, dUp.Accumulate);
        _pool.For(gate.Shape.Count, ElementGrain, ref body);
    }

    private readonly struct SwiGluForwardBody<TLanes, TVector>(float* gate, float* up, float* y) : IParallelRange
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        public void Run(long start, long end)
        {
            long i = start;
            for (; i + TLanes.Count <= end; i += TLanes.Count)
            {
                Vector(gate + i, up + i, y + i);
            }

            // The rest goes through a padded copy: the same arithmetic in every lane, wherever an element stands.
            if (i < end)
            {
                int rest = (int)(end - i);
                float* g = stackalloc float[TLanes.Count];
                float* u = stackalloc float[TLanes.Count];
                float* result = stackalloc float[TLanes.Count];
                new Span<float>(gate + i, rest).CopyTo(new Span<float>(g, rest));
                new Span<float>(up + i, rest).CopyTo(new Span<float>(u, rest));
                Vector(g, u, result);
                new Span<float>(result, rest).CopyTo(new Span<float>(y + i, rest));
            }
        }

        private static void Vector(float* gate, float* up, float* y)
        {
            TVector g = TLanes.Load(gate);
            TVector silu = TLanes.Multiply(g, Exponential<TLanes, TVector>.Sigmoid(g));
            TLanes.Store(TLanes.Multiply(silu, TLanes.Load(up)), y);
        }
    }

    private readonly struct SwiGluBackwardBody<TLanes, TVector>(
        float* dy, float* gate, float* up, float* dGate, float* dUp, bool addsGate, bool addsUp) : IParallelRange
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        public void Run(long start, long end)
        {
            int width = TLanes.Count;
            long i = start;
            for (; i + width <= end; i += width)
            {
                Vector(dy + i, gate + i, up + i, dGate is null ? null : dGate + i, dUp is null ? null : dUp + i);
            }

            if (i < end)
            {
                int rest = (int)(end - i);
                float* padded = stackalloc float[5 * width];      // dy, gate, up, dGate, dUp
                Copy(dy + i, padded, rest);
                Copy(gate + i, padded + width, rest);
                Copy(up + i, padded + (2 * width), rest);
                Copy(dGate is null ? null : dGate + i, padded + (3 * width), rest);
                Copy(dUp is null ? null : dUp + i, padded + (4 * width), rest);
                Vector(padded, padded + width, padded + (2 * width), padded + (3 * width), padded + (4 * width));
                Copy(padded + (3 * width), dGate is null ? null : dGate + i, rest);
                Copy(padded + (4 * width), dUp is null ? null : dUp + i, rest);
            }
        }

        private static void Copy(float* source, float* target, int count)
        {
            if (source is not null && target is not null)
            {
                new Span<float>(source, count).CopyTo(new Span<float>(target, count));
            }
        }

        private void Vector(float* dy, float* gate, float* up, float* dGate, float* dUp)
        {
            TVector one = TLanes.Broadcast(1f);
            TVector g = TLanes.Load(gate);
            TVector sigmoid = Exponential<TLanes, TVector>.Sigmoid(g);
            TVector gradient = TLanes.Multiply(TLanes.Load(dy), sigmoid);
            if (dUp is not null)
            {
                TLanes.Store(TLanes.MultiplyAdd(gradient, g, addsUp ? TLanes.Load(dUp) : default), dUp);
            }

            if (dGate is not null)
            {
                TVector slope = TLanes.MultiplyAdd(g, TLanes.Subtract(one, sigmoid), one);
                TVector share = TLanes.Multiply(gradient, TLanes.Load(up));
                TLanes.Store(TLanes.MultiplyAdd(share, slope, addsGate ? TLanes.Load(dGate) : default), dGate);
            }
        }
    }
}
