using System.Diagnostics;
using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Most parts into which the sum over repeated axes is cut; each part needs a buffer of the operand's size.</summary>
    private const long MaxBroadcastParts = 64;

    /// <inheritdoc/>
    public void BinaryForward(BinaryKind kind, Tensor a, Tensor b, Tensor y)
    {
        BinaryForwardBody body = new(kind, Floats(a), Floats(b), Floats(y), new BroadcastPlan(y.Shape, a.Shape, b.Shape));
        _pool.For(y.Shape.Count, ElementGrain, ref body);
    }

    /// <inheritdoc/>
    public void BinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor? da, Tensor? db)
    {
        if (dy.Shape.Count == 0)
        {
            return;
        }

        BroadcastPlan plan = new(dy.Shape, a.Shape, b.Shape);
        BinaryGradient first = new(kind, ofB: false, Floats(dy), Floats(a), Floats(b), plan);
        BinaryGradient second = new(kind, ofB: true, Floats(dy), Floats(a), Floats(b), plan);
        AddGradient(first, dy.Shape.Count, da);
        AddGradient(second, dy.Shape.Count, db);
    }

    /// <inheritdoc/>
    public void Affine(Tensor x, float factor, float term, Tensor y)
    {
        AffineBody body = new(Floats(x), factor, term, Floats(y));
        _pool.For(x.Shape.Count, ElementGrain, ref body);
    }

    private void AddGradient(BinaryGradient gradient, long count, Tensor? target)
    {
        if (target is null)
        {
            return;
        }

        if (target.Shape.Count == count)
        {
            BinaryDirectBody direct = new(gradient, Floats(target));
            _pool.For(count, ElementGrain, ref direct);
            return;
        }

        // Parts of whole rows, as many as the work pays for, and with buffers that together are no larger than dy.
        long size = target.Shape.Count;
        long rows = gradient.Plan.Rows;
        long parts = Math.Clamp(Math.Min(count / ElementGrain, count / size), 1, Math.Min(MaxBroadcastParts, rows));
        using Scratch shares = Scratch.Rent(parts * size);
        BinaryReducedBody body = new(gradient, shares.Floats, size, rows, parts);
        _pool.For(parts, 1, ref body);
        SumSharesBody sum = new(shares.Floats, size, parts, Floats(target));
        _pool.For(size, ElementGrain, ref sum);
    }

    private readonly struct BinaryForwardBody(BinaryKind kind, float* a, float* b, float* y, BroadcastPlan plan) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long at = start; at < end;)
            {
                (long row, long column) = Math.DivRem(at, plan.Width);
                int length = (int)Math.Min(plan.Width - column, end - at);
                (long offsetA, long offsetB) = plan.Offsets(row);
                Span<float> target = new(y + at, length);
                if (plan.WalksA && plan.WalksB)
                {
                    Apply(new ReadOnlySpan<float>(a + offsetA + column, length), new ReadOnlySpan<float>(b + offsetB + column, length), target);
                }
                else if (plan.WalksA)
                {
                    Apply(new ReadOnlySpan<float>(a + offsetA + column, length), b[offsetB], target);
                }
                else
                {
                    // Not both can stand still along a row: such axes have one element and were dropped.
                    Apply(a[offsetA], new ReadOnlySpan<float>(b + offsetB + column, length), target);
                }

                at += length;
            }
        }

        private void Apply(ReadOnlySpan<float> left, ReadOnlySpan<float> right, Span<float> target)
        {
            switch (kind)
            {
                case BinaryKind.Add:
                    TensorPrimitives.Add(left, right, target);
                    break;
                case BinaryKind.Subtract:
                    TensorPrimitives.Subtract(left, right, target);
                    break;
                case BinaryKind.Multiply:
                    TensorPrimitives.Multiply(left, right, target);
                    break;
                case BinaryKind.Divide:
                    TensorPrimitives.Divide(left, right, target);
                    break;
                default:
                    throw new UnreachableException($"No function {kind}.");
            }
        }

        private void Apply(ReadOnlySpan<float> left, float right, Span<float> target)
        {
            switch (kind)
            {
                case BinaryKind.Add:
                    TensorPrimitives.Add(left, right, target);
                    break;
                case BinaryKind.Subtract:
                    TensorPrimitives.Subtract(left, right, target);
                    break;
                case BinaryKind.Multiply:
                    TensorPrimitives.Multiply(left, right, target);
                    break;
                case BinaryKind.Divide:
                    TensorPrimitives.Divide(left, right, target);
                    break;
                default:
                    throw new UnreachableException($"No function {kind}.");
            }
        }

        private void Apply(float left, ReadOnlySpan<float> right, Span<float> target)
        {
            switch (kind)
            {
                case BinaryKind.Subtract:
                    TensorPrimitives.Subtract(left, right, target);
                    break;
                case BinaryKind.Divide:
                    TensorPrimitives.Divide(left, right, target);
                    break;
                default:
                    Apply(right, left, target);
                    break;
            }
        }
    }

    /// <summary>dy · ∂f/∂a or dy · ∂f/∂b of one piece of a row.</summary>
    private readonly struct BinaryGradient(BinaryKind kind, bool ofB, float* dy, float* a, float* b, BroadcastPlan plan)
    {
        public BroadcastPlan Plan => plan;

        /// <summary>True where the operand has an element for each of the row's.</summary>
        public bool Walks => ofB ? plan.WalksB : plan.WalksA;

        /// <summary>First element of the operand for a row.</summary>
        public long Offset(long row)
        {
            (long offsetA, long offsetB) = plan.Offsets(row);
            return ofB ? offsetB : offsetA;
        }

        public void Compute(long row, long column, Span<float> result)
        {
            ReadOnlySpan<float> gradient = new(dy + (row * plan.Width) + column, result.Length);
            (long offsetA, long offsetB) = plan.Offsets(row);
            switch (kind)
            {
                case BinaryKind.Add:
                    gradient.CopyTo(result);
                    break;
                case BinaryKind.Subtract when ofB:
                    TensorPrimitives.Negate(gradient, result);
                    break;
                case BinaryKind.Subtract:
                    gradient.CopyTo(result);
                    break;
                case BinaryKind.Multiply when ofB:
                    Multiply(gradient, a + offsetA, plan.WalksA, column, result);
                    break;
                case BinaryKind.Multiply:
                    Multiply(gradient, b + offsetB, plan.WalksB, column, result);
                    break;
                case BinaryKind.Divide when ofB:
                    // −dy · a / b²; divided twice, because b² leaves the range of float32 earlier than the result does.
                    Multiply(gradient, a + offsetA, plan.WalksA, column, result);
                    Divide(result, b + offsetB, column, result);
                    Divide(result, b + offsetB, column, result);
                    TensorPrimitives.Negate(result, result);
                    break;
                case BinaryKind.Divide:
                    Divide(gradient, b + offsetB, column, result);
                    break;
                default:
                    throw new UnreachableException($"No function {kind}.");
            }
        }

        private static void Multiply(ReadOnlySpan<float> gradient, float* other, bool walks, long column, Span<float> result)
        {
            if (walks)
            {
                TensorPrimitives.Multiply(gradient, new ReadOnlySpan<float>(other + column, result.Length), result);
            }
            else
            {
                TensorPrimitives.Multiply(gradient, *other, result);
            }
        }

        private void Divide(ReadOnlySpan<float> gradient, float* divisor, long column, Span<float> result)
        {
            if (plan.WalksB)
            {
                TensorPrimitives.Divide(gradient, new ReadOnlySpan<float>(divisor + column, result.Length), result);
            }
            else
            {
                TensorPrimitives.Divide(gradient, *divisor, result);
            }
        }
    }

    /// <summary>Gradient of an operand that is not repeated.</summary>
    private readonly struct BinaryDirectBody(BinaryGradient gradient, float* target) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> block = stackalloc float[CacheBlock];
            long width = gradient.Plan.Width;
            for (long at = start; at < end;)
            {
                (long row, long column) = Math.DivRem(at, width);
                int length = (int)Math.Min(Math.Min(width - column, end - at), CacheBlock);
                gradient.Compute(row, column, block[..length]);
                Span<float> sum = new(target + gradient.Offset(row) + column, length);
                TensorPrimitives.Add(sum, block[..length], sum);
                at += length;
            }
        }
    }

    /// <summary>Gradient of a repeated operand: one share a part of the rows.</summary>
    private readonly struct BinaryReducedBody(BinaryGradient gradient, float* shares, long size, long rows, long parts) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> block = stackalloc float[CacheBlock];
            long width = gradient.Plan.Width;
            for (long part = start; part < end; part++)
            {
                float* share = shares + (part * size);
                System.Runtime.InteropServices.NativeMemory.Clear(share, (nuint)(size * sizeof(float)));
                long last = (part + 1) * rows / parts;
                for (long row = part * rows / parts; row < last; row++)
                {
                    float* target = share + gradient.Offset(row);
                    double total = 0;
                    for (long column = 0; column < width; column += CacheBlock)
                    {
                        Span<float> piece = block[..(int)Math.Min(CacheBlock, width - column)];
                        gradient.Compute(row, column, piece);
                        if (gradient.Walks)
                        {
                            Span<float> sum = new(target + column, piece.Length);
                            TensorPrimitives.Add(sum, piece, sum);
                        }
                        else
                        {
                            total += TensorPrimitives.Sum<float>(piece);
                        }
                    }

                    if (!gradient.Walks)
                    {
                        *target += (float)total;
                    }
                }
            }
        }
    }

    private readonly struct SumSharesBody(float* shares, long size, long parts, float* target) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> sum = new(target + start, (int)(end - start));
            for (long part = 0; part < parts; part++)
            {
                TensorPrimitives.Add(sum, new ReadOnlySpan<float>(shares + (part * size) + start, sum.Length), sum);
            }
        }
    }

    private readonly struct AffineBody(float* x, float factor, float term, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            ReadOnlySpan<float> source = new(x + start, (int)(end - start));
            Span<float> target = new(y + start, source.Length);
            if (factor == 1f)
            {
                TensorPrimitives.Add(source, term, target);
                return;
            }

            TensorPrimitives.Multiply(source, factor, target);
            if (term != 0f)
            {
                TensorPrimitives.Add(target, term, target);
            }
        }
    }
}
