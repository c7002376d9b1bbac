namespace PureQLora.Training.Tests;

public sealed class SampleOrderTests
{
    // The first numbers of the published generator for seed 1234567.
    [Fact]
    public void SplitMix64_GivenAKnownSeed_ShouldGiveThePublishedNumbers()
    {
        SplitMix64 random = new(1234567);
        Assert.Equal([6457827717110365317UL, 3203168211198807973UL, 9817491932198370423UL], [random.NextUInt64(), random.NextUInt64(), random.NextUInt64()]);
    }

    [Fact]
    public void NextBelow_GivenManyDraws_ShouldBeUniform()
    {
        SplitMix64 random = new(5);
        int[] counts = new int[7];
        for (int i = 0; i < 70_000; i++)
        {
            counts[random.NextBelow(7)]++;
        }

        Assert.All(counts, count => Assert.InRange(count, 9_600, 10_400));   // four standard deviations
    }

    [Fact]
    public void Next_GivenShuffling_ShouldVisitEverySampleOnceAPass()
    {
        SampleOrder order = new(100, 7);
        int[] first = Take(order, 100);
        int[] second = Take(order, 100);
        Assert.Equal(Enumerable.Range(0, 100), first.Order());
        Assert.Equal(Enumerable.Range(0, 100), second.Order());
        Assert.NotEqual(first, second);
        Assert.NotEqual(Enumerable.Range(0, 100), first);
        Assert.NotEqual(first, Take(new SampleOrder(100, 8), 100));
    }

    [Fact]
    public void Next_GivenNoShuffling_ShouldKeepTheOrder() => Assert.Equal([0, 1, 2, 0, 1, 2, 0], Take(new SampleOrder(3, 7, shuffle: false), 7));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Next_GivenAStoredPosition_ShouldGoOnFromThere(bool shuffle)
    {
        SampleOrder whole = new(13, 42, shuffle);
        int[] expected = Take(whole, 60);
        for (int cut = 0; cut < 60; cut++)
        {
            SampleOrder first = new(13, 42, shuffle);
            int[] before = Take(first, cut);
            int[] after = Take(new SampleOrder(13, 42, shuffle, first.Position), 60 - cut);
            Assert.Equal(expected, before.Concat(after));
        }
    }

    // Pins the order itself: a changed generator would silently break every resumed run.
    [Fact]
    public void Next_GivenAFixedSeed_ShouldNeverChange() => Assert.Equal(Pinned, Take(new SampleOrder(10, 2024), 10));

    private static readonly int[] Pinned = [0, 4, 6, 1, 5, 8, 7, 2, 3, 9];

    private static int[] Take(SampleOrder order, int count) => [.. Enumerable.Range(0, count).Select(_ => order.Next())];
}
