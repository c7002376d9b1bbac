using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class DecodingBatchTests
{
    [Theory]
    [InlineData(1, Precision.Float32)]
    [InlineData(1, Precision.BFloat16)]
    [InlineData(1, Precision.Int8)]
    [InlineData(5, Precision.BFloat16)]
    [InlineData(5, Precision.Int8)]
    public void Step_GivenQuantizedWeights_ShouldAllocateNothing(int rows, Precision precision)
    {
        const int vocabulary = 70, promptLength = 3;

        // One thread, so that its own counter sees all of the work.
        using CpuBackend backend = new(threads: 1);
        using LlamaModel model = ChainWeights.Counting(vocabulary);
        foreach (LinearLayer linear in model.Linears)
        {
            (int outDim, int inDim) = (linear.Weight.OutDim, linear.Weight.InDim);
            byte[] codes = [.. Enumerable.Range(0, outDim * inDim).Select(i => (byte)(i % 16))];
            float[] scales = new float[outDim];
            Array.Fill(scales, 0.01f);
            byte[] zeros = new byte[outDim];
            Array.Fill(zeros, (byte)8);
            linear.ReplaceWeight(new WeightMatrix(QuantizedMatrix.FromCodes(outDim, inDim, 4, -1, codes, scales, zeros)));
        }

        PieceTokenizer tokenizer = PieceTokenizer.Numbered(vocabulary);
        HashSet<int> stopIds = [];
        GeneratedSequence[] sequences = [.. Enumerable.Range(0, rows).Select(i =>
            new GeneratedSequence(i, Enumerable.Range(0, promptLength).ToArray(), 50, new StreamingDecoder(tokenizer, skipSpecial: true), new StopStringMatcher([])))];
        using DecodingBatch batch = new(model, backend, precision, sequences);
        batch.Prefill(CancellationToken.None);
        void Next()
        {
            foreach (GeneratedSequence sequence in sequences)
            {
                sequence.Append(1, stopIds);
            }
        }

        for (int warm = 0; warm < 3; warm++)
        {
            Next();
            batch.Step();
        }

        // Each step needs a token more than the last; text is made outside of what is measured.
        long least = long.MaxValue;
        for (int step = 0; step < 5; step++)
        {
            Next();
            long before = GC.GetAllocatedBytesForCurrentThread();
            batch.Step();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
