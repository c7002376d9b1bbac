using System.Xml.Linq;

namespace PureQLora.Tools.Tests;

/// <summary>References point one way: Core ← Models ← Training ← tools, and nothing in src knows of ILGPU.</summary>
public sealed class ArchitectureTests
{
    [Theory]
    [InlineData("PureQLora.Core")]
    [InlineData("PureQLora.Models", "PureQLora.Core")]
    [InlineData("PureQLora.Training", "PureQLora.Models")]
    public void Library_ShouldReferenceOnlyTheLayerBelow(string project, params string[] allowed)
    {
        XDocument file = XDocument.Load(Path.Combine(RepositoryPaths.Root, "src", project, $"{project}.csproj"));

        string[] references = [.. file.Descendants("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')))];

        Assert.Equal(allowed, references);
    }

    [Fact]
    public void Libraries_ShouldNotKnowIlgpu()
    {
        foreach (string file in Directory.EnumerateFiles(Path.Combine(RepositoryPaths.Root, "src"), "*.*", SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".cs", StringComparison.Ordinal) || file.EndsWith(".csproj", StringComparison.Ordinal))
            .Where(file => !file.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj")))
        {
            Assert.DoesNotContain("ILGPU", File.ReadAllText(file), StringComparison.OrdinalIgnoreCase);
        }
    }
}
