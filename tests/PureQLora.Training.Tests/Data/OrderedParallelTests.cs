using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class OrderedParallelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(0)]
    public void Map_GivenManyItems_ShouldKeepTheirOrder(int threads)
    {
        Assert.Equal(Enumerable.Range(0, 10_000).Select(i => i * i), OrderedParallel.Map(Enumerable.Range(0, 10_000), threads, i => i * i));
        Assert.Empty(OrderedParallel.Map(Array.Empty<int>(), threads, i => i));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Map_GivenSeveralThatFail_ShouldThrowTheFirstInOrder(int threads)
    {
        List<int> seen = [];
        UserErrorException error = Assert.Throws<UserErrorException>(() =>
        {
            foreach (int result in OrderedParallel.Map(Enumerable.Range(0, 5000), threads, i => i % 1000 == 700 ? throw new UserErrorException($"item {i}") : i))
            {
                seen.Add(result);
            }
        });
        Assert.Equal("item 700", error.Message);
        Assert.Equal(Enumerable.Range(0, 700), seen);
    }

    [Fact]
    public void Map_GivenAnEndlessSequence_ShouldReadOnlyABlockAhead()
    {
        int read = 0;
        IEnumerable<int> Endless()
        {
            while (true)
            {
                yield return read++;
            }
        }

        Assert.Equal(3000, OrderedParallel.Map(Endless(), 2, i => i).Take(3000).Count());
        Assert.InRange(read, 3000, 3 * 2048);
    }

    [Fact]
    public void Create_GivenAnyNumberOfThreads_ShouldGiveTheSameSamples()
    {
        SampleEncoder encoder = new(new CharacterTokenizer()) { MaxLength = 12 };
        TrainingExample[] examples = [.. Enumerable.Range(0, 3000).Select(i => new PromptCompletionExample($"f, line {i + 1}", $"ab{i}", i % 7 == 0 ? "" : $"c{i % 5}"))];
        TrainingData one = TrainingData.Create(examples, encoder, threads: 1);
        TrainingData many = TrainingData.Create(examples, encoder, threads: 5);
        Assert.Equal(one.Samples.Count, many.Samples.Count);
        Assert.Equal((one.Tokens, one.SupervisedTokens, one.Dropped), (many.Tokens, many.SupervisedTokens, many.Dropped));
        Assert.All(one.Samples.Zip(many.Samples), pair =>
        {
            Assert.Equal(pair.First.InputIds, pair.Second.InputIds);
            Assert.Equal(pair.First.Labels, pair.Second.Labels);
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void Create_GivenSeveralBadRecords_ShouldNameTheFirstLine(int threads)
    {
        SampleEncoder encoder = new(new CharacterTokenizer());
        TrainingExample[] examples = [.. Enumerable.Range(1, 4000).Select(line => line is 2500 or 2501 or 3999
            ? (TrainingExample)new TokenizedExample($"f, line {line}", [1, 2], [-100, -100])
            : new PromptCompletionExample($"f, line {line}", "a", "b"))];
        Assert.Contains("f, line 2500:", Assert.Throws<UserErrorException>(() => TrainingData.Create(examples, encoder, threads)).Message, StringComparison.Ordinal);
    }
}
