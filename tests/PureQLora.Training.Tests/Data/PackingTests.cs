using System.Text.Json;

namespace PureQLora.Training.Tests;

public sealed class PackingTests
{
    [Fact]
    public void Pack_GivenEveryGoldenList_ShouldEqualTrl()
    {
        JsonElement[] cases = Golden.Cases("packing.json");
        Assert.Equal(12, cases.Length);
        foreach (JsonElement row in cases)
        {
            PackingStrategy strategy = row.Text("strategy") switch { "bfd" => PackingStrategy.BestFit, "bfd_split" => PackingStrategy.BestFitSplit, _ => PackingStrategy.Wrapped };
            IReadOnlyList<IReadOnlyList<PackedSegment>> rows = SequencePacker.Pack(row.GetProperty("lengths").Integers(), row.GetProperty("seq_length").GetInt32(), strategy);
            JsonElement[] bins = [.. row.GetProperty("bins").EnumerateArray()];
            Assert.Equal(bins.Length, rows.Count);
            foreach ((JsonElement bin, IReadOnlyList<PackedSegment> segments) in bins.Zip(rows))
            {
                Assert.Equal(bin.GetProperty("segments").EnumerateArray().Select(s => new PackedSegment(s[0].GetInt32(), s[1].GetInt32(), s[2].GetInt32())), segments);
                if (bin.TryGetProperty("position_ids", out JsonElement positions))
                {
                    Assert.Equal(positions.Integers(), TokenBatch.Packed(segments, Samples(row.GetProperty("lengths").Integers())).Positions);
                }
            }
        }
    }

    [Fact]
    public void Batch_GivenEveryGoldenCollation_ShouldEqualTrl()
    {
        foreach (JsonElement row in Golden.Cases("collate.json"))
        {
            TrainingSample[] samples = [.. row.GetProperty("inputs").EnumerateArray().Select(input => new TrainingSample(input.GetProperty("input_ids").Integers(), input.GetProperty("labels").Integers()))];
            JsonElement expected = row.GetProperty("batch");
            TokenBatch batch = row.Text("collator") switch
            {
                "pad" => TokenBatch.Padded(samples, 0),
                "pad_multiple_8" => TokenBatch.Padded(samples, 0, 8),
                _ => TokenBatch.PaddingFree(samples),
            };
            Assert.Equal(Flat(expected.GetProperty("input_ids")), batch.InputIds);
            Assert.Equal(Flat(expected.GetProperty("labels")), batch.Labels);
            Assert.Equal(batch.InputIds.Length, batch.Rows * batch.Columns);
            Assert.Equal(samples.Sum(sample => sample.SupervisedTokens), batch.SupervisedTokens);
            if (expected.TryGetProperty("attention_mask", out JsonElement mask))
            {
                Assert.Equal(Flat(mask), batch.AttentionMask());
            }

            if (expected.TryGetProperty("cu_seq_lens_q", out JsonElement starts))
            {
                Assert.Equal(starts.Integers(), batch.SequenceStarts());
                Assert.Equal(expected.GetProperty("max_length_q").GetInt32(), batch.MaxSequenceLength);
                Assert.Equal(Flat(expected.GetProperty("position_ids")), batch.Positions);
            }
        }
    }

    [Theory]
    [InlineData(PackingStrategy.BestFitSplit)]
    [InlineData(PackingStrategy.Wrapped)]
    public void Pack_GivenAnyLengths_ShouldKeepEveryTokenOnce(PackingStrategy strategy)
    {
        SplitMix64 random = new(3);
        int[] lengths = [.. Enumerable.Range(0, 2500).Select(_ => random.NextBelow(90))];
        IReadOnlyList<IReadOnlyList<PackedSegment>> rows = SequencePacker.Pack(lengths, 40, strategy);
        Assert.All(rows, row => Assert.InRange(row.Sum(segment => segment.Count), 1, 40));
        int[] taken = new int[lengths.Length];
        foreach (PackedSegment segment in rows.SelectMany(row => row).OrderBy(segment => (segment.Sample, segment.Start)))
        {
            Assert.Equal(taken[segment.Sample], segment.Start);
            taken[segment.Sample] += segment.Count;
        }

        Assert.Equal(lengths, taken);
    }

    [Fact]
    public void Packed_GivenASegmentInTheMiddleOfASample_ShouldNotPredictItsFirstToken()
    {
        TrainingSample sample = new([1, 2, 3, 4], [1, 2, 3, 4]);
        TokenBatch batch = TokenBatch.Packed([new(0, 2, 2), new(0, 0, 2)], [sample]);
        Assert.Equal([3, 4, 1, 2], batch.InputIds);
        Assert.Equal([-100, 4, -100, 2], batch.Labels);
        Assert.Equal(2, batch.SupervisedTokens);
    }

    private static TrainingSample[] Samples(int[] lengths) => [.. lengths.Select(length => new TrainingSample(new int[length], new int[length]))];

    private static int[] Flat(JsonElement rows) => [.. rows.EnumerateArray().SelectMany(row => row.Integers())];
}
