"""Services: from files and the registry to what nodes are told.

store       what of the registry is read and written here
serving     which version answers, and what it must have (pure)
resolving   an address -> a `Route`
reading     one state of the registry -> routes
diffing     in what two services differ (pure)
promotion   what answers in one environment, taken to another
scanning    a folder of service files -> services and problems
watching    a scan -> what is to be put, deleted and refused (pure)
source      the folder as the source of what is deployed
"""
