using System.Globalization;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Rounds every weight to the level of a code book next to it, relative to the largest magnitude of its block.</summary>
/// <remarks>Dettmers et al., arXiv:2110.02861, section 2, with the data types of arXiv:2305.14314.</remarks>
public static class BlockwiseQuantizer
{
    /// <summary>Weights that a thread takes at once: whole blocks of every size, and whole bytes.</summary>
    private const int ChunkLength = 1 << 15;

    /// <summary>Quantises a weight matrix.</summary>
    /// <param name="weights">W, row-major. [outDim, inDim]</param>
    /// <param name="outDim">Output features.</param>
    /// <param name="options">Book, block and double quantisation.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="backend">Gives the threads; null for the caller's.</param>
    /// <exception cref="UserErrorException">A weight is not finite, or an option is out of range.</exception>
    public static BlockwiseMatrix Quantize(ReadOnlySpan<float> weights, int outDim, BlockwiseOptions options, string layer, CpuBackend? backend = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        BlockwiseMatrix matrix = Quantize(weights, outDim, options.Book, options.BlockSize, layer, backend);
        if (!options.DoubleQuantization)
        {
            return matrix;
        }

        // The codes are those of the scales before they are rounded, as in bitsandbytes.
        NestedScales nested = NestedScales.Quantize(matrix.Scales);
        return matrix with { Scales = nested.Dequantize(), Nested = nested };
    }

    /// <summary>The same for blocks of any size, with scales as they are.</summary>
    internal static unsafe BlockwiseMatrix Quantize(ReadOnlySpan<float> weights, int outDim, CodeBook book, int blockSize, string layer, CpuBackend? backend = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outDim, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length % outDim, 0);
        int count = weights.Length;
        byte[] codes = new byte[(count + 1) / 2];
        float[] scales = new float[BlockwiseMatrix.BlockCount(outDim, count / outDim, blockSize)];
        int chunk = Math.Max(1, ChunkLength / blockSize / 2) * 2 * blockSize;
        int bad = 0;
        fixed (float* pinned = weights)
        {
            float* w = pinned;
            (backend ?? SingleThread.Backend).For((count + chunk - 1) / chunk, 1, (start, end) =>
            {
                byte[] wide = new byte[chunk];
                float[] normalized = new float[blockSize];
                for (long part = start; part < end; part++)
                {
                    int first = (int)(part * chunk);
                    int length = Math.Min(chunk, count - first);
                    Span<float> absmax = scales.AsSpan(first / blockSize);
                    if (!Encode(new ReadOnlySpan<float>(w + first, length), book, absmax, normalized, wide))
                    {
                        Interlocked.Exchange(ref bad, 1);
                        return;
                    }

                    Pack(wide.AsSpan(0, length), codes.AsSpan(first / 2), book);
                }
            });
        }

        return bad == 0
            ? new BlockwiseMatrix { OutDim = outDim, InDim = count / outDim, Book = book, BlockSize = blockSize, Codes = codes, Scales = scales }
            : throw new UserErrorException(string.Create(
                CultureInfo.InvariantCulture,
                $"The weights of {layer} hold {TensorPrimitives.MaxMagnitude(weights)}, allowed are finite numbers; the checkpoint is damaged, fetch it again."));
    }

    /// <summary>Scales and codes of neighbouring blocks; false where a weight is not finite.</summary>
    private static bool Encode(ReadOnlySpan<float> weights, CodeBook book, Span<float> scales, float[] normalized, Span<byte> codes)
    {
        for (int first = 0; first < weights.Length; first += normalized.Length)
        {
            ReadOnlySpan<float> block = weights.Slice(first, Math.Min(normalized.Length, weights.Length - first));
            float scale = Math.Abs(TensorPrimitives.MaxMagnitude(block));
            if (!float.IsFinite(scale))
            {
                return false;
            }

            scales[first / normalized.Length] = scale;
            Span<float> values = normalized.AsSpan(0, block.Length);
            if (scale == 0)
            {
                values.Clear();
            }
            else
            {
                TensorPrimitives.Divide(block, scale, values);
            }

            book.Encode(values, codes[first..]);
        }

        return true;
    }

    /// <summary>An odd count is filled up with the code of 0.</summary>
    private static void Pack(ReadOnlySpan<byte> wide, Span<byte> codes, CodeBook book)
    {
        for (int i = 0; i + 1 < wide.Length; i += 2)
        {
            codes[i / 2] = (byte)((wide[i] << 4) | wide[i + 1]);
        }

        if (wide.Length % 2 == 1)
        {
            Span<byte> zero = [0];
            book.Encode([0f], zero);
            codes[wide.Length / 2] = (byte)((wide[^1] << 4) | zero[0]);
        }
    }
}
