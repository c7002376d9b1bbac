using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Adapters that must be refused before they touch a model.</summary>
public sealed class BadAdapterTests
{
    [Theory]
    [MemberData(nameof(PeftCheckpointTests.BadAdapters), MemberType = typeof(PeftCheckpointTests))]
    public void Load_GivenABadAdapter_ShouldNameFileAndCulpritAndLeaveTheModelAlone(string name, string file, string culprit)
    {
        using GoldenModel golden = new("llama-mha");

        string message = Assert.Throws<UserErrorException>(() => LoraInjection.Load(golden.Model, RepositoryPaths.Fixture("models", "bad", name))).Message;

        Assert.Contains(Path.Combine(name, file), message, StringComparison.Ordinal);
        Assert.Contains(culprit, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        Assert.All(golden.Model.Linears, layer => Assert.Null(layer.Adapter));
        Assert.Throws<UserErrorException>(() => ModelFolder.Open(RepositoryPaths.Fixture("models", "llama-mha"), RepositoryPaths.Fixture("models", "bad", name)));
    }

    [Fact]
    public void Load_GivenTheGoodAdapter_ShouldTakeIt()
    {
        using GoldenModel golden = new("llama-mha");
        LoraInjection.Load(golden.Model, RepositoryPaths.Fixture("models", "bad", "good"));
        Assert.Equal(4, golden.Model.Linears.Count(layer => layer.Adapter is { Rank: 2 }));
    }
}
