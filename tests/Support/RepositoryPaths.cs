namespace PureQLora.Testing;

/// <summary>Where the tests find their files.</summary>
internal static class RepositoryPaths
{
    /// <summary>The folder that holds PureQLora.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Fixtures that travel with the project.</summary>
    public static string Fixture(params string[] parts) => Path.Combine([Root, "tests", "Fixtures", .. parts]);

    /// <summary>A file or folder of the shared data beside the repository; skips the calling test where it is absent.</summary>
    public static string Shared(params string[] parts)
    {
        string path = Path.Combine([Root, "..", "shared", .. parts]);
        if (!Path.Exists(path))
        {
            Assert.Skip($"Needs the shared data {string.Join('/', parts)} beside the repository, which is not here.");
        }

        return Path.GetFullPath(path);
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "PureQLora.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException($"No PureQLora.sln above {AppContext.BaseDirectory}; run the tests from a checkout.");
    }
}
