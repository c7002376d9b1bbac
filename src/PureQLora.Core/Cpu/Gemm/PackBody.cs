using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// Copies an operand into panels: panel p holds, step after step of the inner dimension, the values of <c>width</c> neighbouring
/// rows of A (or columns of B); what is missing in the last panel is zero.
/// </summary>
internal readonly unsafe struct PackBody(
    GemmOperand operand, bool innerIsLine, long extent, long k, int width, long firstPanel, bool roundToBFloat16, float* packed) : IParallelRange
{
    /// <summary>Lines of the inner dimension that one task packs where lines run across the panels.</summary>
    private const int StepsPerTask = 32;

    /// <summary>Number of tasks: panels, or runs of inner steps.</summary>
    public long Tasks(long panels) => innerIsLine ? panels : (k + StepsPerTask - 1) / StepsPerTask;

    public void Run(long start, long end)
    {
        for (long task = start; task < end; task++)
        {
            if (innerIsLine)
            {
                PackPanel(task);
            }
            else
            {
                PackSteps(task * StepsPerTask, Math.Min(k, (task + 1) * StepsPerTask));
            }
        }
    }

    /// <summary>Lines run along the inner dimension: read the panel's lines, then transpose.</summary>
    private void PackPanel(long panel)
    {
        const int piece = 256;
        long first = (firstPanel + panel) * width;
        int lines = (int)Math.Min(width, extent - first);
        using Scratch buffer = Scratch.Rent((long)width * piece);
        float* target = packed + (panel * width * k);
        for (long step = 0; step < k; step += piece)
        {
            int count = (int)Math.Min(piece, k - step);
            for (int line = 0; line < width; line++)
            {
                float* into = buffer.Floats + (line * piece);
                if (line < lines)
                {
                    operand.Read(first + line, step, count, roundToBFloat16, into);
                }
                else
                {
                    new Span<float>(into, count).Clear();
                }
            }

            Transpose(buffer.Floats, piece, width, count, target + (step * width));
        }
    }

    /// <summary>Lines run across the panels: read a stretch of a line, then deal it out.</summary>
    private void PackSteps(long start, long end)
    {
        long first = firstPanel * width;
        int length = (int)(extent - first);
        long panels = (length + width - 1L) / width;
        using Scratch buffer = Scratch.Rent(panels * width);
        new Span<float>(buffer.Floats + length, (int)((panels * width) - length)).Clear();
        for (long step = start; step < end; step++)
        {
            operand.Read(step, first, length, roundToBFloat16, buffer.Floats);
            for (long panel = 0; panel < panels; panel++)
            {
                new ReadOnlySpan<float>(buffer.Floats + (panel * width), width).CopyTo(new Span<float>(packed + (((panel * k) + step) * width), width));
            }
        }
    }

    /// <summary>[lines, stride] → [steps, lines].</summary>
    private static void Transpose(float* source, int stride, int lines, int steps, float* target)
    {
        int step = 0;
        if (Avx.IsSupported && lines >= 8)
        {
            for (; step <= steps - 8; step += 8)
            {
                int line = 0;
                for (; line <= lines - 8; line += 8)
                {
                    Transpose8(source + (line * stride) + step, stride, target + (step * lines) + line, lines);
                }

                if (line < lines)
                {
                    // The last eight lines once more: some are written twice with the same values.
                    line = lines - 8;
                    Transpose8(source + (line * stride) + step, stride, target + (step * lines) + line, lines);
                }
            }
        }

        for (; step < steps; step++)
        {
            for (int line = 0; line < lines; line++)
            {
                target[(step * lines) + line] = source[(line * stride) + step];
            }
        }
    }

    private static void Transpose8(float* source, int sourceStride, float* target, int targetStride)
    {
        Vector256<float> r0 = Vector256.Load(source), r1 = Vector256.Load(source + sourceStride);
        Vector256<float> r2 = Vector256.Load(source + (2 * sourceStride)), r3 = Vector256.Load(source + (3 * sourceStride));
        Vector256<float> r4 = Vector256.Load(source + (4 * sourceStride)), r5 = Vector256.Load(source + (5 * sourceStride));
        Vector256<float> r6 = Vector256.Load(source + (6 * sourceStride)), r7 = Vector256.Load(source + (7 * sourceStride));
        Vector256<float> a0 = Avx.UnpackLow(r0, r1), a1 = Avx.UnpackHigh(r0, r1), a2 = Avx.UnpackLow(r2, r3), a3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> a4 = Avx.UnpackLow(r4, r5), a5 = Avx.UnpackHigh(r4, r5), a6 = Avx.UnpackLow(r6, r7), a7 = Avx.UnpackHigh(r6, r7);
        Vector256<float> b0 = Avx.Shuffle(a0, a2, 0x44), b1 = Avx.Shuffle(a0, a2, 0xEE), b2 = Avx.Shuffle(a1, a3, 0x44), b3 = Avx.Shuffle(a1, a3, 0xEE);
        Vector256<float> b4 = Avx.Shuffle(a4, a6, 0x44), b5 = Avx.Shuffle(a4, a6, 0xEE), b6 = Avx.Shuffle(a5, a7, 0x44), b7 = Avx.Shuffle(a5, a7, 0xEE);
        Avx.Permute2x128(b0, b4, 0x20).Store(target);
        Avx.Permute2x128(b1, b5, 0x20).Store(target + targetStride);
        Avx.Permute2x128(b2, b6, 0x20).Store(target + (2 * targetStride));
        Avx.Permute2x128(b3, b7, 0x20).Store(target + (3 * targetStride));
        Avx.Permute2x128(b0, b4, 0x31).Store(target + (4 * targetStride));
        Avx.Permute2x128(b1, b5, 0x31).Store(target + (5 * targetStride));
        Avx.Permute2x128(b2, b6, 0x31).Store(target + (6 * targetStride));
        Avx.Permute2x128(b3, b7, 0x31).Store(target + (7 * targetStride));
    }
}
