using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void RotaryEmbeddingForward(Tensor x, Tensor positions, RotaryTable table, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(table);
        CheckPositions(Ints(positions), x.Shape[0] * x.Shape[1], table.Positions);
        RunRotary(new(Floats(x), Ints(positions), Floats(table.Cos), Floats(table.Sin), (int)x.Shape[2], (int)x.Shape[3], 1f, Floats(y), false), x.Shape);
    }

    /// <inheritdoc/>
    public void RotaryEmbeddingBackward(Tensor dy, Tensor positions, RotaryTable table, GradientTarget dx)
    {
        ArgumentNullException.ThrowIfNull(dy);
        ArgumentNullException.ThrowIfNull(table);
        RunRotary(new(Floats(dy), Ints(positions), Floats(table.Cos), Floats(table.Sin), (int)dy.Shape[2], (int)dy.Shape[3], -1f, Floats(dx.Tensor), dx.Accumulate), dy.Shape);
    }

    private static void CheckPositions(int* positions, long count, long limit)
    {
        for (long i = 0; i < count; i++)
        {
            if (positions[i] < 0 || positions[i] >= limit)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(positions), positions[i], $"Token {i} has position {positions[i]}, the rotary table allows 0–{limit - 1}; make a longer table or shorten the sequence.");
            }
        }
    }

    private void RunRotary(RotaryBody body, Shape shape) => _pool.For(shape[0] * shape[1], RowGrain(shape[2] * shape[3]), ref body);

    /// <summary>Turns the heads of a range of tokens; direction 1 is forward, −1 back.</summary>
    private readonly struct RotaryBody(
        float* x, int* positions, float* cos, float* sin, int heads, int headDim, float direction, float* y, bool accumulate) : IParallelRange
    {
        public void Run(long start, long end)
        {
            int half = headDim / 2;
            for (long token = start; token < end; token++)
            {
                float* c = cos + ((long)positions[token] * half);
                float* s = sin + ((long)positions[token] * half);
                for (int head = 0; head < heads; head++)
                {
                    long offset = ((token * heads) + head) * headDim;
                    Turn(x + offset, c, s, y + offset, half);
                }
            }
        }

        private void Turn(float* source, float* c, float* s, float* target, int half)
        {
            int i = 0;
            for (; i + Vector256<float>.Count <= half; i += Vector256<float>.Count)
            {
                Vector256<float> first = Vector256.Load(source + i);
                Vector256<float> second = Vector256.Load(source + half + i);
                Vector256<float> cosine = Vector256.Load(c + i);
                Vector256<float> sine = Vector256.Load(s + i) * direction;
                Vector256<float> low = (first * cosine) - (second * sine);
                Vector256<float> high = (second * cosine) + (first * sine);
                (accumulate ? low + Vector256.Load(target + i) : low).Store(target + i);
                (accumulate ? high + Vector256.Load(target + half + i) : high).Store(target + half + i);
            }

            for (; i < half; i++)
            {
                float sine = s[i] * direction;
                float low = (source[i] * c[i]) - (source[half + i] * sine);
                float high = (source[half + i] * c[i]) + (source[i] * sine);
                (target[i], target[half + i]) = accumulate ? (target[i] + low, target[half + i] + high) : (low, high);
            }
        }
    }
}
