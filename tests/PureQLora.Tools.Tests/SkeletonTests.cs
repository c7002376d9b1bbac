namespace PureQLora.Tools.Tests;

public sealed class SkeletonTests
{
    [Fact]
    public void Repository_GivenACheckout_ShouldHaveASolution() => Assert.True(File.Exists(Path.Combine(RepositoryPaths.Root, "PureQLora.sln")));
}
